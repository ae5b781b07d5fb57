"""The permissions of roles, and an optional customer key."""
