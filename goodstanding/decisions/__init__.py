"""From a customer's standing and a basket to an answer with its reasons, by pure functions.

Nothing here opens a file or looks at a clock: an answer can be computed again from its receipt alone.
"""
