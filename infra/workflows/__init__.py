"""The state machines, state by state."""
