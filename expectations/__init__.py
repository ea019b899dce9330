"""Quality gates: one Great Expectations suite per gate, and the code that runs a gate."""
