"""Mappings of shops: what a shop's files look like, and which kinds of sources it has."""
