"""What is measured and against what: the benchmark, and two peers that do the work without this product."""
