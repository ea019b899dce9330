"""Benchmarks: the time and memory that the product needs, and how good its models are."""
