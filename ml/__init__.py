"""Models: features as of a day, candidates, honest evaluation, the model store, training and scoring.

The questions are in `tasks`, what answers them in `methods`; `side_by_side` measures them, `champions` keeps
who is best, `train` fits those and `score` asks them every day.
"""
