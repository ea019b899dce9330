"""Pseudonyms, which replace the shop's customer ids before anything is stored."""
