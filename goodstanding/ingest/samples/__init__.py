"""Sample landings: public data sets and simulated shops."""
