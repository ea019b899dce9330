"""The steps of a daily run, and what is computed beside them: evaluations, reports, marts as once known."""
