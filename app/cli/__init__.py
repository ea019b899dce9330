"""The command `goodstanding`: its commands, and the tables that they print."""
