"""The scheduler preloads modules before it forks tasks, and the forked tasks can use them."""

from __future__ import annotations

import subprocess
import sys

from goodstanding.core.settings import PROJECT

# Each use below starts its own threads or opens its own files, which break if the fork comes after them.
FORKED = """
import os, sys, threading
import pipeline.preload
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
loaded = set(sys.modules)
child = os.fork()
if child == 0:
    import duckdb, lightgbm, numpy as np, pandas as pd
    from sklearn.linear_model import LogisticRegression
    x = np.random.default_rng(0).normal(size=(400, 4)); y = x[:, 0] > 0
    assert (x.T @ x).shape == (4, 4)
    assert LogisticRegression().fit(x, y).score(x, y) > 0.9
    assert lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(x, y).score(x, y) > 0.9
    assert duckdb.connect().execute("select sum(i) from range(1000000) t(i)").fetchone() == (499999500000,)
    from expectations import gate
    from goodstanding.core.vocabulary import GATES
    assert gate._sentences.cache_info().currsize > len(GATES), "the gates have not been warmed up"
    missing = {"great_expectations", "dbt.cli.main", "pipeline.steps"} - loaded
    assert not missing, missing
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_fork_of_the_scheduler_can_compute_with_what_was_preloaded() -> None:
    subprocess.run([sys.executable, "-c", FORKED], cwd=PROJECT, check=True, timeout=120)
