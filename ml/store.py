"""The model store: a folder with a skops file and a JSON card per model.

A model counts once its card is there; the card is written last. Both are written aside and renamed, so no
reader meets half a file. Neither holds a customer id.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from goodstanding.errors import DataProblem
from goodstanding.settings import PROJECT

# What a model file may hold beside the scikit-learn, NumPy and SciPy types that skops itself holds safe.
TRUSTED_TYPES = ("collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier")
SUPERSEDED = "superseded"


def model_id(card: Mapping[str, Any], predictions: bytes) -> str:
    """Name a model by its target, data day, recipe and content: the card without id and what it predicts.

    It knows no clock: the same training gives the same id, and models that differ differ in it.
    """
    content = hashlib.sha256(json.dumps(card, sort_keys=True).encode() + predictions).hexdigest()
    return f"{card['target']}-{card['data_day']}-{card['recipe']}-{content[:8]}"


def save(model: Any, card: Mapping[str, Any], models: Path) -> None:
    """Store a fitted model and its card under the card's model_id.

    An earlier model of the same target and data day, trained by other code or on restated data, moves to the
    folder `superseded`: two models of one day would leave it to their names which of them scores.
    """
    models.mkdir(parents=True, exist_ok=True)
    name = card["model_id"]
    _write(models / f"{name}.skops", skops.io.dumps(model))
    _write(models / f"{name}.json", (json.dumps(card, indent=2) + "\n").encode())
    for other in models.glob(f"{card['target']}-{card['data_day']}-*.json"):
        if other.stem != name:
            attic = models / SUPERSEDED
            attic.mkdir(exist_ok=True)
            # the card first: without it the model does not count
            for file in (other, other.with_suffix(".skops")):
                os.replace(file, attic / file.name)


def _write(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_bytes(content)
    os.replace(aside, path)


def newest_card(models: Path, target: str, as_of: date) -> dict[str, Any] | None:
    """The card of a target's newest model whose data day is not after `as_of`; None where there is none.

    Raises:
        DataProblem: that card cannot be read.
    """
    prefix = f"{target}-"
    names = (path.stem for path in models.glob(f"{prefix}[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]-*.json"))
    # ISO dates of one length: the order of the names is the order of data day, then model_id
    until = as_of.isoformat()
    newest = max((name for name in names if name.removeprefix(prefix)[:10] <= until), default=None)
    if newest is None:
        return None
    path = models / f"{newest}.json"
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


@lru_cache(maxsize=1)
def code_version() -> str:
    """The git commit of this project (with -dirty when files differ from it), else the project's version."""
    if (PROJECT / ".git").exists():
        try:
            return subprocess.run(
                ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
                capture_output=True,
                text=True,
                check=True,
                timeout=10,
            ).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            # no git here, or a checkout that belongs to somebody else: the version still says which code
            pass
    return version("goodstanding")


def library_versions() -> dict[str, str]:
    """Versions of what computes a model, for its card."""
    libraries = ("numpy", "scipy", "scikit-learn", "lightgbm", "skops")
    return {"python": platform.python_version()} | {library: version(library) for library in libraries}
