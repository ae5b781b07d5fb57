"""The HTTP API with its sign-in, its function and its roles."""
