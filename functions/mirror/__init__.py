"""The mirror step."""
