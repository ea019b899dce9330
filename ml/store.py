"""The model store: a folder with a skops file and a JSON card per model, or with cards alone.

A model counts once its card is there; the card is written last. Both are written aside and renamed, so no
reader meets half a file. Neither holds a customer id.
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
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from goodstanding.core.durable import write_in_place
from goodstanding.core.errors import DataProblem
from goodstanding.core.version import code_version

# What a model file may hold beside the scikit-learn, NumPy and SciPy types that skops itself holds safe: a
# test holds every method against this list.
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


def model_id(card: Mapping[str, Any], predictions: bytes) -> str:
    """Name a model by its target, data day, recipe and content: the card without id and what it predicts.

    It knows no clock: the same training gives the same id, and models that differ differ in it.
    """
    content = hashlib.sha256(json.dumps(card, sort_keys=True).encode() + predictions).hexdigest()
    return f"{card['target']}-{card['data_day']}-{card['recipe']}-{content[:8]}"


def save(model: Any, card: Mapping[str, Any], models: Path) -> None:
    """Store a fitted model and its card under the card's model_id, as `save_card` does."""
    models.mkdir(parents=True, exist_ok=True)
    write_in_place(models / f"{card['model_id']}.skops", skops.io.dumps(model))
    save_card(card, models)


def save_card(card: Mapping[str, Any], folder: Path) -> None:
    """Store a card under its model_id.

    An earlier one of the same target and data day, made by other code or on restated data, moves to the
    folder `superseded`: two of one day would leave it to their names which of them counts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_in_place(folder / f"{card['model_id']}.json", (json.dumps(card, indent=2) + "\n").encode())
    for other in folder.glob(f"{card['target']}-{card['data_day']}-*.json"):
        if other.stem != card["model_id"]:
            put_away(folder, other.stem, SUPERSEDED)


def put_away(folder: Path, name: str, attic: str) -> None:
    """Move a card, and the model if there is one, into a folder below, where it does not count."""
    (folder / attic).mkdir(exist_ok=True)
    # the card first: without it the model does not count
    for end in ("json", "skops"):
        with suppress(FileNotFoundError):
            os.replace(folder / f"{name}.{end}", folder / attic / f"{name}.{end}")


def newest_card(folder: Path, target: str, as_of: date) -> dict[str, Any] | None:
    """The card of a target's newest model whose data day is not after `as_of`; None where there is none.

    Raises:
        DataProblem: that card cannot be read.
    """
    until = as_of.isoformat()
    names = (name for name in _names(folder, target) if name.removeprefix(f"{target}-")[:10] <= until)
    newest = next(names, None)
    return None if newest is None else _read(folder / f"{newest}.json")


def cards(folder: Path, target: str) -> list[dict[str, Any]]:
    """All cards of a target that count, the newest first.

    Raises:
        DataProblem: one of them cannot be read.
    """
    return [_read(folder / f"{name}.json") for name in _names(folder, target)]


def card_named(folder: Path, name: str) -> dict[str, Any]:
    """A card by its model_id, one that has been put away included.

    Raises:
        DataProblem: there is none, or it cannot be read.
    """
    found = next(iter([*folder.glob(f"{name}.json"), *folder.glob(f"*/{name}.json")]), None)
    if found is None:
        raise DataProblem(f"card {name} is missing in {folder}; train again")
    return _read(found)


def _names(folder: Path, target: str) -> list[str]:
    # ISO dates of one length: the order of the names is the order of data day, then model_id
    day = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
    return sorted((path.stem for path in folder.glob(f"{target}-{day}-*.json")), reverse=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        card: dict[str, Any] = json.loads(path.read_bytes())
    except ValueError as error:
        raise DataProblem(f"model card {path} cannot be read ({error}); train again") from None
    return card


def load(models: Path, name: str) -> Any:
    """The fitted model of a card, from memory where its file has not changed since the last call.

    Raises:
        DataProblem: the file is missing, damaged, or holds types outside `TRUSTED_TYPES`; nothing of it ran.
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


def made_by() -> dict[str, Any]:
    """What a card says of its making: {code_version, library_versions}."""
    return {"code_version": code_version(), "library_versions": library_versions()}


def library_versions() -> dict[str, str]:
    """Versions of what computes a model, for its card."""
    libraries = ("numpy", "scipy", "scikit-learn", "lightgbm", "skops")
    return {"python": platform.python_version()} | {library: version(library) for library in libraries}
