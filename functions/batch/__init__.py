"""The batch step: a manifest is checked before anything is paid, and what became of its lines is reported at the end."""
