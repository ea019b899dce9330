"""The steps of a run, and what a run computes beside them."""
