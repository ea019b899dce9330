"""Decisions and profiles over HTTP; reads the published warehouse alone."""
