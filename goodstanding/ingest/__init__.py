"""Ingest: reads a shop's day files from the landing into typed, pseudonymous tables (`raw`)."""
