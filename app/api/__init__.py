"""Answers decisions and profiles over HTTP and for the command line, from the published warehouse alone."""
