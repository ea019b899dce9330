"""Pseudonyms: what replaces the shop's customer ids before anything is stored."""
