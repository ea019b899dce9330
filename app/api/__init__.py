"""Answers questions about customers from the published warehouse, over HTTP and for the command line."""
