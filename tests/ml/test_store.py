"""The model store: which files it writes, which card is the newest, and which files it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.base import clone
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from goodstanding.core.errors import DataProblem
from ml import champions, store
from ml.short_list import SHORT_LIST
from ml.sound import Unsound, _require_booster, require_sound

FEATURES = np.random.default_rng(1).normal(size=(200, 3))
LABELS = FEATURES[:, 0] > 0


def card(data_day: str, content: str = "00000000", target: str = "buys_90d") -> dict[str, Any]:
    name = f"{target}-{data_day}-rfm_rank-{content}"
    return {"model_id": name, "target": target, "data_day": data_day}


def fitted(name: str = "rfm_rank") -> Any:
    return SHORT_LIST[name].build().fit(FEATURES, LABELS)


def sign(folder: Path, name: str) -> None:
    """Sign a file that was changed, as somebody does who has the key."""
    content, text = ((folder / f"{name}.{end}").read_bytes() for end in ("skops", "json"))
    (folder / f"{name}.signature").write_text(store._signature(folder, name, content, text))


@pytest.mark.parametrize("name", ["rfm_rank", "logistic_regression", "lightgbm"])
def test_every_method_that_can_ship_is_loaded_with_the_same_probabilities(tmp_path: Path, name: str) -> None:
    model = fitted(name)
    store.save(model, card("2011-01-31"), tmp_path)
    back = store.load(tmp_path, card("2011-01-31")["model_id"])

    assert back.predict_proba(FEATURES).tobytes() == model.predict_proba(FEATURES).tobytes()


def test_only_the_model_and_its_card_are_left_behind(tmp_path: Path) -> None:
    store.save(fitted(), card("2011-01-31"), tmp_path)

    name = card("2011-01-31")["model_id"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{name}.json",
        f"{name}.signature",
        f"{name}.skops",
    ]


def test_a_model_counts_only_once_its_card_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(Exception):
        pass

    replace = os.replace

    def crash_before_the_card(source: Path, target: Path) -> None:
        if target.suffix == ".json":
            raise Crash
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash_before_the_card)
    with pytest.raises(Crash):
        store.save(fitted(), card("2011-01-31"), tmp_path)

    assert store.newest_card(tmp_path, "buys_90d", date(2011, 12, 31)) is None


def test_the_newest_card_not_after_the_day_is_found(tmp_path: Path) -> None:
    for day in ("2011-01-31", "2011-03-31", "2011-02-28"):
        store.save(fitted(), card(day), tmp_path)
    store.save(fitted(), card("2011-03-01", target="buys_90d-other"), tmp_path)

    def newest(day: date) -> Any:
        card_of_day = store.newest_card(tmp_path, "buys_90d", day)
        return card_of_day and card_of_day["data_day"]

    assert newest(date(2011, 1, 30)) is None
    assert newest(date(2011, 1, 31)) == "2011-01-31"
    assert newest(date(2011, 3, 30)) == "2011-02-28"
    assert newest(date(2012, 1, 1)) == "2011-03-31"
    assert store.newest_card(tmp_path / "nowhere", "buys_90d", date(2012, 1, 1)) is None


def test_a_retrained_day_replaces_its_earlier_model_whatever_their_names(tmp_path: Path) -> None:
    store.save(fitted(), card("2011-01-31", "ffffffff"), tmp_path)
    store.save(fitted(), card("2011-01-31", "00000000"), tmp_path)
    newest_card = store.newest_card(tmp_path, "buys_90d", date(2011, 2, 1))

    assert newest_card == card("2011-01-31", "00000000")
    kept = sorted(path.name for path in (tmp_path / store.SUPERSEDED).iterdir())
    assert kept == [
        f"{card('2011-01-31', 'ffffffff')['model_id']}.{end}" for end in ("json", "signature", "skops")
    ]


def test_a_file_with_other_types_is_refused_before_anything_of_it_runs(tmp_path: Path) -> None:
    store.save(fitted(), card("2011-01-31"), tmp_path)
    name = card("2011-01-31")["model_id"]
    skops.io.dump(FunctionTransformer(func=subprocess.check_call), tmp_path / f"{name}.skops")
    sign(tmp_path, name)

    with pytest.raises(DataProblem, match=r"refused.*check_call"):
        store.load(tmp_path, name)


@pytest.mark.parametrize("name", store.TRUSTED_TYPES)
def test_every_trusted_type_is_still_at_the_path_that_stored_models_name(name: str) -> None:
    module, _, attribute = name.rpartition(".")

    type_ = getattr(import_module(module), attribute)

    # skops names a type by where it is defined
    assert f"{type_.__module__}.{type_.__qualname__}" == name


@pytest.mark.parametrize("content", [b"", b"not a zip", b"\x80\x04N."], ids=["empty", "text", "pickle"])
def test_a_damaged_file_is_reported_by_name(tmp_path: Path, content: bytes) -> None:
    store.save(fitted(), card("2011-01-31"), tmp_path)
    name = card("2011-01-31")["model_id"]
    (tmp_path / f"{name}.skops").write_bytes(content)
    sign(tmp_path, name)

    with pytest.raises(DataProblem, match=rf"{name}\.skops cannot be read.*train again"):
        store.load(tmp_path, name)


def test_a_file_with_a_weight_changed_in_place_is_refused_and_named(tmp_path: Path) -> None:
    model = fitted()
    store.save(model, card("2011-01-31"), tmp_path)
    name = card("2011-01-31")["model_id"]
    file = tmp_path / f"{name}.skops"
    written, weights = file.read_bytes(), model.coef_.tobytes()
    assert written.count(weights) == 1
    file.write_bytes(written.replace(weights, (-model.coef_).tobytes()))
    sign(tmp_path, name)

    with pytest.raises(DataProblem, match=rf"{name}\.skops cannot be read.*CRC.*train again"):
        store.load(tmp_path, name)


def test_a_file_in_which_a_type_was_renamed_is_refused_and_nothing_of_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    store.save(fitted(), card("2011-01-31"), tmp_path)
    name = card("2011-01-31")["model_id"]
    file, ran = tmp_path / f"{name}.skops", tmp_path / "ran"
    # a module that would show that it was imported, named in place of the model's own
    (tmp_path / "intruder.py").write_text(f"open({str(ran)!r}, 'w')\nclass LogisticRegression: pass\n")
    with zipfile.ZipFile(file) as archive:
        content = {entry: archive.read(entry) for entry in archive.namelist()}
    content["schema.json"] = content["schema.json"].replace(b"sklearn.linear_model._logistic", b"intruder")
    with zipfile.ZipFile(file, "w") as archive:
        for entry, data in content.items():
            archive.writestr(entry, data)
    sign(tmp_path, name)

    with pytest.raises(DataProblem, match=r"refused.*intruder.*find out who wrote it.*train again"):
        store.load(tmp_path, name)
    assert not ran.exists() and "intruder" not in sys.modules


def point(tree: Any, field: str, place: int, number: int) -> None:
    """Change a number of a tree, as a file can hold it."""
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    nodes[field][place] = number
    tree.__setstate__({**state, "nodes": nodes})


TREES = {
    "tree": DecisionTreeClassifier(max_depth=3),
    "forest": RandomForestClassifier(3, max_depth=3),
    "extra trees": ExtraTreesClassifier(3, max_depth=3),
    "boosting": GradientBoostingClassifier(n_estimators=3),
    "pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(3, max_depth=3)),
}


def tree_of(model: Any) -> Any:
    model = getattr(model, "steps", [("", model)])[-1][1]
    return np.ravel(getattr(model, "estimators_", model))[-1].tree_


@pytest.mark.parametrize("kind", TREES)
@pytest.mark.parametrize(
    ("field", "number", "named"),
    [
        ("left_child", 1_000_000, "a node that is not there"),
        ("right_child", -7, "a node that is not there"),
        ("left_child", 0, "a node that is not there"),
        ("left_child", -1, "one branch only"),
        ("feature", 3, "a column that is not there"),
        ("feature", -100_000_000, "a column that is not there"),
    ],
)
def test_a_tree_that_points_outside_its_arrays_is_refused_though_it_is_signed(
    tmp_path: Path, kind: str, field: str, number: int, named: str
) -> None:
    model = clone(TREES[kind]).fit(FEATURES, LABELS)
    name = card("2011-01-31")["model_id"]
    store.save(model, card("2011-01-31"), tmp_path)
    assert (store.load(tmp_path, name).predict(FEATURES) == model.predict(FEATURES)).all()

    point(tree_of(model), field, 0, number)
    store.save(model, card("2011-01-31"), tmp_path)
    os.utime(tmp_path / f"{name}.skops", ns=(1, 1))
    with pytest.raises(DataProblem, match=rf"refused, .*{named}.*train again"):
        store.load(tmp_path, name)


def test_a_tree_that_counts_more_nodes_or_columns_than_it_has_is_refused(tmp_path: Path) -> None:
    name = card("2011-01-31")["model_id"]
    for counted in ("nodes", "columns"):
        model = clone(TREES["forest"]).fit(FEATURES, LABELS)
        if counted == "nodes":
            tree = tree_of(model)
            tree.__setstate__({**tree.__getstate__(), "node_count": 10**6})
            with pytest.raises(Unsound, match="1000000 nodes has room for"):
                require_sound(model)
        else:
            # its trees ask for three
            model.n_features_in_ = 2
            store.save(model, card("2011-01-31"), tmp_path)
            with pytest.raises(DataProblem, match="a tree of 3 columns is in a model of 2"):
                store.load(tmp_path, name)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("left_child=", "left_child=99"),
        ("right_child=", "right_child=-99"),
        ("right_child=", "right_child=0"),
        ("split_feature=", "split_feature=3"),
        ("split_feature=", "split_feature=-1"),
        ("num_cat=", "num_cat=1"),
        ("num_leaves=", "num_leaves=31"),
    ],
)
def test_a_tree_of_lightgbm_that_points_outside_its_arrays_is_refused(line: str, other: str) -> None:
    text = fitted("lightgbm").booster_.model_to_string()
    _require_booster(text)
    lines = text.splitlines()
    place = next(place for place, found in enumerate(lines) if found.startswith(line))
    rest = lines[place].split(" ")[1:] if line not in ("num_cat=", "num_leaves=") else []
    lines[place] = " ".join([other, *rest])
    with pytest.raises(Unsound, match="a tree"):
        _require_booster("\n".join(lines))


@pytest.mark.parametrize("swapped", ["skops", "json", "signature"])
def test_a_file_of_another_model_is_not_taken_for_the_one_that_this_home_signed(
    tmp_path: Path, swapped: str
) -> None:
    own, other = tmp_path / "own" / "models", tmp_path / "other" / "models"
    name = card("2011-01-31")["model_id"]
    store.save(fitted(), card("2011-01-31"), own)
    store.save(LogisticRegression().fit(FEATURES, ~LABELS), {**card("2011-01-31"), "rows": 3}, other)
    (own / f"{name}.{swapped}").write_bytes((other / f"{name}.{swapped}").read_bytes())
    with pytest.raises(DataProblem, match="is not the one that this home signed"):
        store.load(own, name)


def test_a_model_without_a_signature_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store.save(fitted(), card("2011-01-31"), tmp_path)
    name = card("2011-01-31")["model_id"]
    (tmp_path / f"{name}.signature").unlink()
    with pytest.raises(DataProblem, match="no signature of this home; train again"):
        store.load(tmp_path, name)


def test_a_missing_model_file_and_a_damaged_card_are_named(tmp_path: Path) -> None:
    store.save(fitted(), card("2011-01-31"), tmp_path)
    name = card("2011-01-31")["model_id"]
    (tmp_path / f"{name}.skops").unlink()
    with pytest.raises(DataProblem, match=r"skops is missing beside its card"):
        store.load(tmp_path, name)

    (tmp_path / f"{name}.json").write_text('{"model_id": ')
    with pytest.raises(DataProblem, match=r"json cannot be read"):
        store.newest_card(tmp_path, "buys_90d", date(2011, 2, 1))


def test_a_model_is_loaded_once_until_its_file_changes(tmp_path: Path) -> None:
    name = card("2011-01-31")["model_id"]
    store.save(fitted(), card("2011-01-31"), tmp_path)
    first = store.load(tmp_path, name)
    assert store.load(tmp_path, name) is first

    store.save(LogisticRegression().fit(FEATURES, ~LABELS), card("2011-01-31"), tmp_path)
    os.utime(tmp_path / f"{name}.skops", ns=(1, 1))
    assert (store.load(tmp_path, name).predict(FEATURES) != first.predict(FEATURES)).all()


def test_a_model_id_follows_the_card_and_the_predictions() -> None:
    facts = {"target": "buys_90d", "data_day": "2011-01-31", "recipe": "lightgbm", "seed": 1}
    name = store.model_id(facts, b"predictions")

    assert name.startswith("buys_90d-2011-01-31-lightgbm-")
    assert name == store.model_id(dict(reversed(facts.items())), b"predictions")
    assert store.model_id(facts, b"others") != name
    assert store.model_id(facts | {"seed": 2}, b"predictions") != name


def test_cards_without_models_are_listed_newest_first_also_from_where_they_were_put_away(
    tmp_path: Path,
) -> None:
    folder = tmp_path / champions.EVALUATIONS
    for day, content in (("2011-01-31", "1"), ("2011-03-31", "1"), ("2011-03-31", "2"), ("2011-02-28", "1")):
        store.save_card(card(day, content), folder)

    assert [stored_card["model_id"] for stored_card in store.cards(folder, "buys_90d")] == [
        card("2011-03-31", "2")["model_id"],
        card("2011-02-28", "1")["model_id"],
        card("2011-01-31", "1")["model_id"],
    ]
    superseded = card("2011-03-31", "1")
    assert store.card_named(folder, superseded["model_id"]) == superseded
    with pytest.raises(DataProblem, match=r"card buys_30d-x is missing in .*; train again"):
        store.card_named(folder, "buys_30d-x")
