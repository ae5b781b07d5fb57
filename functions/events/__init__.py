"""Events for others to build on: what became of a picture, and that a run failed."""
