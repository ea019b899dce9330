"""Landings: the folders in which a shop's files lie."""
