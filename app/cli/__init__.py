"""The command `goodstanding`, and what it prints."""
