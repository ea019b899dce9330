"""Models: features as of a day, candidates, honest evaluation, the model store, training and scoring.

One module per question a model answers (`purchase`: who buys within 90 days); the rest is shared by all.
"""
