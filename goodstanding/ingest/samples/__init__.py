"""Landings for trying things out: public data, and made-up shops."""
