"""Refuses a model whose trees point outside their arrays: asked, such a model would end the whole process.

Compiled code follows the numbers of a tree without looking whether they are places in its arrays. A file of
trusted types alone can hold any numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from lightgbm import Booster
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.ensemble._forest import BaseForest
from sklearn.ensemble._gb import BaseGradientBoosting
from sklearn.tree import BaseDecisionTree
from sklearn.tree._tree import Tree

LEAF = -1


class Unsound(Exception):
    """A model that must not be asked; says why."""


def require_sound(model: Any) -> None:
    """Look at every tree within a fitted model.

    Raises:
        Unsound: a tree points outside its arrays, or to columns that the model does not have.
    """
    for part, columns in _parts(model, None, set()):
        if isinstance(part, Tree):
            _require_tree(part, columns)
        else:
            _require_booster(part.model_to_string())


def _parts(node: Any, columns: int | None, seen: set[int]) -> Iterator[tuple[Tree | Booster, int | None]]:
    """Every tree and booster within a model, with the number of columns that it is given."""
    if id(node) in seen or isinstance(node, str | bytes | int | float | bool | type(None)):
        return
    seen.add(id(node))
    if isinstance(node, Tree | Booster):
        yield node, columns
        return
    inside: list[Any] = []
    if isinstance(node, np.ndarray):
        inside = list(node.flat) if node.dtype == object else []
    elif isinstance(node, Mapping):
        inside = [*node.keys(), *node.values()]
    elif isinstance(node, list | tuple | set | frozenset):
        inside = list(node)
    elif hasattr(node, "__dict__"):
        if isinstance(node, BaseEstimator):
            # an ensemble hands its columns on to its trees, which do not look at their number again
            is_of_ensemble = isinstance(node, BaseDecisionTree) and columns is not None
            columns = columns if is_of_ensemble else _columns(node)
        inside = list(vars(node).values())
    for part in inside:
        yield from _parts(part, columns, seen)


def _columns(model: BaseEstimator) -> int | None:
    """The columns that a tree or an ensemble of trees asks for; None of all other models."""
    is_of_trees = isinstance(model, BaseDecisionTree | BaseForest | BaseGradientBoosting)
    return int(model.n_features_in_) if is_of_trees else None


def _require_tree(tree: Tree, columns: int | None) -> None:
    if not 1 <= tree.node_count <= tree.capacity:
        raise Unsound(f"a tree of {tree.node_count} nodes has room for {tree.capacity}")
    if columns is not None and tree.n_features != columns:
        raise Unsound(f"a tree of {tree.n_features} columns is in a model of {columns}")
    left, right = tree.children_left, tree.children_right
    is_leaf = left == LEAF
    if (is_leaf & (right != LEAF)).any():
        raise Unsound("a node of a tree has one branch only")
    parents = np.flatnonzero(~is_leaf)
    for branch in (left[parents], right[parents]):
        # a branch comes after its node, or nothing would end
        _require_between(branch, parents + 1, tree.node_count, "a node")
    _require_between(tree.feature[parents], 0, tree.n_features, "a column")


def _require_between(
    numbers: NDArray[np.integer[Any]], least: int | NDArray[Any], below: int, what: str
) -> None:
    if ((numbers < least) | (numbers >= below)).any():
        raise Unsound(f"a tree points to {what} that is not there")


def _require_booster(text: str) -> None:
    """Look at the trees of LightGBM, which it writes as text."""
    head, *trees = text.split("\nTree=")
    columns = int(_values(head)["max_feature_idx"]) + 1
    for tree in trees:
        values = _values(tree)
        leaves = int(values["num_leaves"])
        if leaves < 1 or len(values["leaf_value"].split()) != leaves:
            raise Unsound("a tree has not as many leaves as it says")
        if leaves == 1:
            continue
        nodes = np.arange(leaves - 1)
        for name in ("left_child", "right_child"):
            branch = _numbers(values, name, leaves - 1)
            # -1 is the first leaf, -2 the second
            _require_between(-1 - branch[branch < 0], 0, leaves, "a leaf")
            _require_between(branch[branch >= 0], nodes[branch >= 0] + 1, leaves - 1, "a node")
        _require_between(_numbers(values, "split_feature", leaves - 1), 0, columns, "a column")
        if int(values["num_cat"]):
            raise Unsound("a tree has categories, which no model of this project has")


def _values(lines: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)


def _numbers(values: dict[str, str], name: str, length: int) -> NDArray[np.int64]:
    numbers = np.array(values[name].split(), dtype=np.int64)
    if len(numbers) != length:
        raise Unsound(f"a tree has {len(numbers)} of {length} numbers of {name}")
    return numbers
