"""The model store: a folder on disk with a skops file and a JSON card (`ml.cards`) for each trained model.

Evaluations have cards alone. A model counts once its card is there; the card is written last. Both are
written aside and renamed, so no reader meets half a file. Neither holds a customer id.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem
from goodstanding.core.version import code_version
from ml.cards import MadeBy, ModelCard

# What a model file may hold beside the scikit-learn, NumPy and SciPy types that skops itself trusts. A test
# checks every method against this list. Stored models name these paths: a class that moves makes every stored
# model of its kind unreadable.
TRUSTED_TYPES = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "ml.lifetime.counts.BGNBD",
    "ml.lifetime.counts.NBD",
    "ml.lifetime.counts.ParetoNBD",
    "ml.lifetime.spend.GammaGamma",
    "ml.methods.NextOrder",
    "ml.methods.Segments",
    "ml.worth.Worth",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
SUPERSEDED = "superseded"


def model_id(card: Mapping[str, object], predictions: bytes) -> str:
    """Name a model by its target, data day, recipe and a hash of its content.

    The content is the card without `model_id`, and what the model predicts. No clock is part of it: the same
    training gives the same id, and models that differ have different ids.

    Args:
        card: with `target`, `data_day` and `recipe`; a `model_id` in it is left out.
        predictions: the bytes of what the model predicts for the customers that it was fitted on.
    """
    named = {key: value for key, value in card.items() if key != "model_id"}
    content = hashlib.sha256(json.dumps(named, sort_keys=True).encode() + predictions).hexdigest()
    return f"{card['target']}-{card['data_day']}-{card['recipe']}-{content[:8]}"


def save(model: Any, card: ModelCard, models: Path) -> None:
    """Store a fitted model and its card under the card's model_id, as `save_card` does."""
    models.mkdir(parents=True, exist_ok=True)
    write_in_place(models / f"{card['model_id']}.skops", skops.io.dumps(model))
    save_card(card, models)


def save_card(card: Mapping[str, object], folder: Path) -> None:
    """Store a card (a `ml.cards.StoredCard` of any kind) under its model_id.

    An earlier card of the same target and data day, made by other code or on restated data, moves to the
    folder `superseded`: of two cards of one day, the order of their names would decide which one counts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_in_place(folder / f"{card['model_id']}.json", (json.dumps(card, indent=2) + "\n").encode())
    for other in folder.glob(f"{card['target']}-{card['data_day']}-*.json"):
        if other.stem != card["model_id"]:
            put_away(folder, other.stem, SUPERSEDED)


def put_away(folder: Path, name: str, attic: str) -> None:
    """Move a card, and its model if it has one, into the folder `attic` below, where it does not count."""
    (folder / attic).mkdir(exist_ok=True)
    # the card first: without it the model does not count
    for end in ("json", "skops"):
        with suppress(FileNotFoundError):
            os.replace(folder / f"{name}.{end}", folder / attic / f"{name}.{end}")


def newest_card(folder: Path, target: str, as_of: date) -> ModelCard | None:
    """The card of a target's newest model whose data day is not after `as_of`; None where there is none.

    Raises:
        DataProblem: that card cannot be read.
    """
    until = as_of.isoformat()
    names = (name for name in _names(folder, target) if name.removeprefix(f"{target}-")[:10] <= until)
    newest = next(names, None)
    return None if newest is None else _read(folder / f"{newest}.json")


def cards(folder: Path, target: str) -> list[ModelCard]:
    """All cards of a target that count, the newest first.

    Raises:
        DataProblem: one of them cannot be read.
    """
    return [_read(folder / f"{name}.json") for name in _names(folder, target)]


def card_named(folder: Path, name: str) -> ModelCard:
    """The card with a model_id, also where it has been put away.

    Raises:
        DataProblem: there is none, or it cannot be read.
    """
    path = next(iter([*folder.glob(f"{name}.json"), *folder.glob(f"*/{name}.json")]), None)
    if path is None:
        raise DataProblem(f"card {name} is missing in {folder}; train again")
    return _read(path)


def _names(folder: Path, target: str) -> list[str]:
    # ISO dates of one length: the order of the names is the order of data day, then model_id
    day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    return sorted((path.stem for path in folder.glob(f"{target}-{day}-*.json")), reverse=True)


def _read(path: Path) -> ModelCard:
    try:
        return cast(ModelCard, json.loads(path.read_bytes()))
    except ValueError as error:
        raise DataProblem(f"model card {path} cannot be read ({error}); train again") from None


def load(models: Path, name: str) -> Any:
    """The fitted model of the card with a model_id; from memory where its file has not changed since.

    Raises:
        DataProblem: the file is missing, damaged, or holds types outside `TRUSTED_TYPES`; then no code of it
            has run.
    """
    path = models / f"{name}.skops"
    try:
        return _load(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise DataProblem(f"model file {path} is missing beside its card; train again") from None


@lru_cache(maxsize=8)
def _load(path: Path, mtime_ns: int) -> Any:
    try:
        return skops.io.load(path, trusted=list(TRUSTED_TYPES))
    except UntrustedTypesFoundException as error:
        raise DataProblem(
            f"model file {path} is refused, it holds types that no model of this project has: {error}; "
            "find out who wrote it, then remove it and its card and train again"
        ) from None
    except Exception as error:
        raise DataProblem(
            f"model file {path} cannot be read by scikit-learn {version('scikit-learn')} "
            f"({type(error).__name__}: {error}); train again"
        ) from error


def made_by() -> MadeBy:
    """The code and the libraries of this process, for a card."""
    return {"code_version": code_version(), "library_versions": library_versions()}


def library_versions() -> dict[str, str]:
    """{python or a library: version} of what computes a model."""
    libraries = ("numpy", "scipy", "scikit-learn", "lightgbm", "skops")
    return {"python": platform.python_version()} | {library: version(library) for library in libraries}
