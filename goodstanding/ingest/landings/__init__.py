"""Where a shop's files lie."""
