"""From the landing to `raw`: the shop's mapping, reading files, setting aside what cannot be read."""
