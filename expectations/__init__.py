"""Quality gates: one Great Expectations suite per gate, and what runs a gate."""
