"""Measure what a data engineer waits for after an edit: one model built on a copy of the warehouse.

    python -m bench.one_model

Not part of `make bench`. It reads the warehouse that `make run` has made. The peer is dbt by itself
(`dbt build -s MODEL --full-refresh`) on the same copy, which compares nothing with the publication.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from statistics import median

from bench.cost import GOODSTANDING, Cost, cost_of, environment_of
from bench.readme import keep_apart
from bench.results import OneModel
from bench.run import machine
from goodstanding.core.settings import PROJECT, Settings, settings
from pipeline.workbench.copies import workbench_of

MODEL = "customer_classes"
CALLS = 3


def measure_one_model(home: Settings) -> OneModel:
    """Build the model by the product, with a new copy and with the copy that lies there, and by dbt alone."""
    product = [GOODSTANDING, "dbt", "build", "-s", MODEL]
    workbench = workbench_of(home).home
    new_copy, same_copy, dbt_alone = [], [], []
    for _ in range(CALLS):
        shutil.rmtree(workbench, ignore_errors=True)
        new_copy.append(cost_of(product, environment_of(home)))
        same_copy.append(cost_of(product, environment_of(home)))
        dbt_alone.append(_dbt_cost(home, workbench))
    return {
        "model": MODEL,
        "new_copy": _medians(new_copy),
        "same_copy": _medians(same_copy),
        "dbt": _medians(dbt_alone),
    }


def _dbt_cost(home: Settings, workbench: Path) -> Cost:
    folder = PROJECT / "dbt_project"
    target = workbench / "bench_target"
    command = [
        *(str(Path(sys.executable).with_name("dbt")), "--quiet", "build", "-s", MODEL, "--full-refresh"),
        *("--project-dir", str(folder), "--profiles-dir", str(folder), "--target-path", str(target)),
        *("--exclude-resource-type", "unit_test", "--vars", json.dumps({"as_of_days": home.as_of_days})),
    ]
    return cost_of(command, environment_of(home) | {"GOODSTANDING_HOME": str(workbench)})


def _medians(costs: list[Cost]) -> dict[str, float]:
    figures = [cost.figures() for cost in costs]
    return {name: round(median(run[name] for run in figures), 2) for name in figures[0]}


def main() -> None:
    measured = {"machine": machine(), **measure_one_model(settings())}
    keep_apart("one_model", measured)
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
