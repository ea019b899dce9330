"""Benchmarks: what the product costs in time and memory, how good its models are, and two peer scripts."""
