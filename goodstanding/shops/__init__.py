"""A shop's mapping: what its files look like, and which kinds of sources it has."""
