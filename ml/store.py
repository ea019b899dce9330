"""The model store: a folder on disk with a skops file and a JSON card (`ml.cards`) for each trained model.

Evaluations have cards alone. A model counts once its card is there; the card is written last. All are
written aside and renamed, so no reader meets half a file. None holds a customer id.

Model and card are signed by a key of the home (HMAC-SHA256), so that a file from elsewhere is told before
anything of it is read. A model without a signature, as earlier versions stored them, is refused: train again.
"""

from __future__ import annotations

import hashlib
import hmac
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
from goodstanding.identity.pseudonyms import make_key
from ml.cards import MadeBy, ModelCard
from ml.sound import Unsound, require_sound

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
SIGNATURE = "signature"
# beside the folder of the models
KEY = "models.key"


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
    name, content = card["model_id"], skops.io.dumps(model)
    write_in_place(models / f"{name}.skops", content)
    signature = _signature(models, name, content, _text_of(card))
    write_in_place(models / f"{name}.{SIGNATURE}", signature + "\n")
    save_card(card, models)


def save_card(card: Mapping[str, object], folder: Path) -> None:
    """Store a card (a `ml.cards.StoredCard` of any kind) under its model_id.

    An earlier card of the same target and data day, made by other code or on restated data, moves to the
    folder `superseded`: of two cards of one day, the order of their names would decide which one counts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_in_place(folder / f"{card['model_id']}.json", _text_of(card))
    for other in folder.glob(f"{card['target']}-{card['data_day']}-*.json"):
        if other.stem != card["model_id"]:
            put_away(folder, other.stem, SUPERSEDED)


def put_away(folder: Path, name: str, attic: str) -> None:
    """Move a card, and its model if it has one, into the folder `attic` below, where it does not count."""
    (folder / attic).mkdir(exist_ok=True)
    # the card first: without it the model does not count
    for end in ("json", "skops", SIGNATURE):
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
        DataProblem: the file is missing, damaged, not signed by this home, or holds types outside
            `TRUSTED_TYPES` (then no code of it has run), or trees that point outside their arrays.
    """
    files = [models / f"{name}.{end}" for end in ("skops", "json", SIGNATURE)]
    try:
        return _load(models, name, tuple(path.stat().st_mtime_ns for path in files if path.exists()))
    except FileNotFoundError:
        raise DataProblem(f"model file {files[0]} is missing beside its card; train again") from None


@lru_cache(maxsize=8)
def _load(models: Path, name: str, changed: tuple[int, ...]) -> Any:
    path = models / f"{name}.skops"
    # read once: what is loaded is what was verified
    content = path.read_bytes()
    _require_signed(models, name, content)
    try:
        model = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
        require_sound(model)
        return model
    except Unsound as error:
        raise DataProblem(
            f"model file {path} is refused, {error}; find out who wrote it, then remove it and its card and "
            "train again"
        ) from None
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


def _text_of(card: Mapping[str, object]) -> bytes:
    return (json.dumps(card, indent=2) + "\n").encode()


def _require_signed(models: Path, name: str, content: bytes) -> None:
    signed, card = models / f"{name}.{SIGNATURE}", models / f"{name}.json"
    if not signed.exists():
        raise DataProblem(
            f"model file {models / name}.skops has no signature of this home; train again, which signs "
            "what it stores"
        )
    signature = _signature(models, name, content, card.read_bytes())
    if not hmac.compare_digest(signature, signed.read_text(encoding="ascii", errors="replace").strip()):
        raise DataProblem(
            f"model file {models / name}.skops or its card is not the one that this home signed; find out "
            "who wrote it, then remove it and its card and train again"
        )


def _signature(models: Path, name: str, content: bytes, card: bytes) -> str:
    """The signature of a model and its card, under the key of the home, which is made once."""
    key = models.parent / KEY
    if not key.exists():
        make_key(key)
    parts = (name.encode(), content, card)
    message = b"".join(len(part).to_bytes(8) + part for part in parts)
    return hmac.new(bytes.fromhex(key.read_text(encoding="ascii")), message, hashlib.sha256).hexdigest()


def made_by() -> MadeBy:
    """The code and the libraries of this process, for a card."""
    return {"code_version": code_version(), "library_versions": library_versions()}


def library_versions() -> dict[str, str]:
    """{python or a library: version} of what computes a model."""
    libraries = ("numpy", "scipy", "scikit-learn", "lightgbm", "skops")
    return {"python": platform.python_version()} | {library: version(library) for library in libraries}
