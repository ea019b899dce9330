"""Read the labelled snapshots of a task in pairs: one to fit methods on, and a later one to test them on.

The borders of the classes come from the train cut alone. Where a shop's history is too short for a task, the
task is refused, and the message says how much more would be enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from goodstanding.core.errors import DataProblem
from ml.candidate import SEED
from ml.features import (
    MINIMUM_OF_CLASS,
    TEST_CUTS,
    Snapshot,
    month_end,
    percentile_ranks,
    read_snapshot,
    rolling_cuts,
)
from ml.tasks import (
    BEFORE,
    DAYS_AHEAD,
    FORMULA,
    ORDER_DAYS,
    Task,
    Values,
    classes_by,
    known_to,
    window_values,
)

FOLDS = 5
# Customers of each class on a day that is split into folds: with 20 in a fold, every resample has some.
MINIMUM_IN_FOLDS = 100


@dataclass(frozen=True)
class Pair:
    """A snapshot to fit on and one to test on, both labelled by the class borders of the first."""

    fit_on: Snapshot
    test_on: Snapshot


def read_pairs(connection: duckdb.DuckDBPyConnection, task: Task, as_of: date) -> list[Pair]:
    """The labelled pairs of a task, oldest first: the newest three test cuts, or the random folds of one day.

    Later days than `as_of` in the warehouse are not read.

    Raises:
        DataProblem: the history is too short, or a class too rare; it says how much would be enough.
    """
    if task.is_formula:
        return _random_folds(connection, task, as_of)
    cuts = _month_ends(connection, as_of)
    dated = rolling_cuts(cuts, lambda cut: task.moved(cut, 1), as_of)[-TEST_CUTS:]
    if not dated:
        raise DataProblem(
            f"{task.name} needs 1 test cut (a month end whose window is over, and another whose window ends "
            f"by it, to train on); {_more(task, cuts, as_of, 1)} would be enough"
        )
    read = {cut: _read(connection, task, cut) for pair in dated for cut in pair}
    pairs = [_labelled(task, read[fit_on], read[test_on]) for fit_on, test_on in dated]
    usable = [pair for pair in pairs if rarest(task, _scarcer(task, pair)) >= MINIMUM_OF_CLASS]
    if not usable:
        fullest = max((_scarcer(task, pair) for pair in pairs), key=partial(rarest, task))
        raise DataProblem(_too_rare(task, fullest, MINIMUM_OF_CLASS))
    return usable


def too_few_cuts(connection: duckdb.DuckDBPyConnection, task: Task, as_of: date, pairs: int) -> str | None:
    """Why there are fewer than the three test cuts that the protocol asks for; None where there are three."""
    if task.is_formula or pairs >= TEST_CUTS:
        return None
    cuts = _month_ends(connection, as_of)
    if _enough(task, cuts, as_of, TEST_CUTS) <= as_of:
        return f"{pairs} of {TEST_CUTS} test cuts; the others have fewer than {MINIMUM_OF_CLASS} of a class"
    return f"{pairs} of {TEST_CUTS} test cuts; {_more(task, cuts, as_of, TEST_CUTS)} would give all"


def _month_ends(connection: duckdb.DuckDBPyConnection, as_of: date) -> list[date]:
    rows = connection.execute(
        """
        select distinct as_of from features.customer_features
        where as_of = last_day(as_of) and as_of <= $1
        order by as_of
        """,
        [as_of],
    ).fetchall()
    return [cut for (cut,) in rows]


def _enough(task: Task, cuts: Sequence[date], as_of: date, test_cuts: int) -> date:
    """The day by which the windows of so many test cuts are over."""
    first = cuts[0] if cuts else month_end(as_of, 0)
    test = month_end(task.moved(first, 1), test_cuts - 1)
    return task.moved(test, 1)


def _more(task: Task, cuts: Sequence[date], as_of: date, test_cuts: int) -> str:
    enough = _enough(task, cuts, as_of, test_cuts)
    return f"{(enough - as_of).days} more days (data up to {enough})"


def _scarcer(task: Task, pair: Pair) -> Snapshot:
    return min(pair.fit_on, pair.test_on, key=partial(rarest, task))


def rarest(task: Task, snapshot: Snapshot) -> int:
    """How many customers the rarest class of a labelled snapshot has."""
    return int(np.bincount(snapshot.labels, minlength=len(task.classes)).min())


def _too_rare(task: Task, snapshot: Snapshot, needed: int) -> str:
    counts = np.bincount(snapshot.labels, minlength=len(task.classes))
    rarest = f"'{task.classes[counts.argmin()]}'"
    return (
        f"{task.name} needs at least {needed} customers of each class in every snapshot; as of "
        f"{snapshot.as_of} there are {counts.min()} of {rarest}; "
        f"{needed - counts.min()} more of {rarest} would be enough"
    )


@dataclass(frozen=True)
class _Read:
    """A snapshot with the values of the windows after and before its cut."""

    snapshot: Snapshot
    after: Values
    before: Values


def _read(connection: duckdb.DuckDBPyConnection, task: Task, cut: date) -> _Read:
    snapshot = read_snapshot(connection, cut)
    if task.is_about_orders:
        snapshot = known_to(connection, task, snapshot, (ORDER_DAYS, DAYS_AHEAD))
    after = window_values(connection, task.outcome, snapshot, cut, task.moved(cut, 1))
    return _Read(snapshot, after, window_values(connection, task.outcome, snapshot, task.moved(cut, -1), cut))


def _labelled(task: Task, fit_on: _Read, test_on: _Read) -> Pair:
    borders = task.borders(fit_on.after)

    def labelled(read: _Read) -> Snapshot:
        features = read.snapshot.features.assign(**{BEFORE: classes_by(borders, read.before)})
        return replace(read.snapshot, features=features, outcome=classes_by(borders, read.after))

    return Pair(labelled(fit_on), labelled(test_on))


def _random_folds(connection: duckdb.DuckDBPyConnection, task: Task, as_of: date) -> list[Pair]:
    (day,) = connection.execute(
        "select max(as_of) from features.customer_features where as_of <= $1", [as_of]
    ).fetchone() or (None,)
    if day is None:
        raise DataProblem(f"{task.name} needs 1 day with customers; there is none up to {as_of}")
    whole = read_snapshot(connection, day)
    values = window_values(connection, task.outcome, whole, day, day)
    whole = replace(whole, outcome=classes_by(task.borders(values), values))
    if rarest(task, whole) < MINIMUM_IN_FOLDS:
        raise DataProblem(_too_rare(task, whole, MINIMUM_IN_FOLDS))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    return [
        Pair(_part(whole, fit_on), _part(whole, test_on))
        for fit_on, test_on in folds.split(whole.labels, whole.labels)
    ]


def _part(whole: Snapshot, rows: NDArray[np.intp]) -> Snapshot:
    """Some of the customers with the three figures of the formula, ranked among themselves."""
    measures = whole.features[list(FORMULA)].iloc[rows]
    features = pd.concat([measures, percentile_ranks(measures).add_prefix("rank_")], axis="columns")
    return Snapshot(whole.as_of, whole.customers[rows], features, whole.labels[rows])
