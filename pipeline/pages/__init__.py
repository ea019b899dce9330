"""Draws the HTML pages that a run writes for people: Data Docs and the page of an evaluation."""
