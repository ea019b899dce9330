"""Segments: who buys alike."""
