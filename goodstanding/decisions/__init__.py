"""Decides whether a customer may pay a basket by instalments or on delivery, up to what sum, and why.

Only pure functions: nothing here opens a file (but `policy.read_policies`, which reads the policy) or looks
at a clock, so an answer can be computed again from its receipt alone.
"""
