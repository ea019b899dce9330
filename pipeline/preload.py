"""Imports the heavy modules of the tasks once, in Airflow's scheduler, so that its tasks start fast.

The LocalExecutor forks a process for each task: with these in the scheduler a day of a real DAG took 4.4 s,
without them 18.3 s. What is imported here must be safe to fork: no thread started, no file held open, no
DuckDB connection; a test counts the threads.
"""

from __future__ import annotations

import logging
from functools import partial
from importlib import import_module

MODULES = (
    "pandas",
    "duckdb",
    "skops.io",
    # every method that may be a champion
    "ml.methods",
    "great_expectations",
    "dbt.cli.main",
    "dbt.adapters.duckdb",
    "expectations.raw_orders",
    "expectations.invoices",
    "expectations.scores",
    "expectations.predictions",
    "pipeline.steps",
)


def preload() -> list[str]:
    """Import every module; return those that could not be imported.

    A module that fails is left to its task, whose log shows the error in the UI: it must not keep the
    scheduler from starting.
    """
    failed = []
    for name in MODULES:
        try:
            import_module(name)
        except Exception as error:
            logging.getLogger(__name__).warning("%s is left to the tasks: %s", name, error)
            failed.append(name)
    return failed


def warm_up() -> None:
    """Parse the dbt project, and use every gate once; what fails is left to the tasks, too."""
    from expectations.gate import warm_up as use_gates
    from goodstanding.core.settings import settings
    from pipeline.transform import warm_up as parse

    for what, warm in (("dbt's project", partial(parse, settings())), ("the gates' first use", use_gates)):
        try:
            warm()
        except Exception as error:
            logging.getLogger(__name__).warning("%s is left to the tasks: %s", what, error)


preload()
warm_up()
