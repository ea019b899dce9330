"""Machine learning: predicts what customers will do, compares the methods, and scores every day.

`tasks` has the questions and `methods` the methods that answer them. `side_by_side` measures the methods,
`champions` keeps the best one of each question, `train` fits it, `store` keeps it on disk and `score` applies
it every day.
"""
