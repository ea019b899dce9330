"""Landings: the folders into which a shop's files are put."""
