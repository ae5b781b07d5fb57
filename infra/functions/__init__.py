"""The Lambda functions: their contents, settings and permissions."""
