"""Customer segments: groups of customers who buy alike, and a study of how stable the groups are."""
