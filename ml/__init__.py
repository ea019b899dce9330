"""Machine learning: what is predicted of customers, by which methods, how good it is, and the daily scores.

`tasks` has the questions and `methods` the methods that answer them. `side_by_side` measures the methods,
`champions` keeps the best one of each question, `train` fits it, `store` keeps it on disk and `score` applies
it every day.
"""
