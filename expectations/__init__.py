"""Quality gates: one Great Expectations suite per gate, running a gate, and the static site."""
