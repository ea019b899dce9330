"""Reads YAML so that what a file says is what the product gets: the one loader of every YAML here.

YAML itself lets a key stand twice, and the last one counts; it reads NO as false, 0123 as 83, 1_000 as 1000
and 12:30 as 750. Here a key that stands twice is an error, and a mapping's values come as they are written:
the type of a field, and not the look of a value, says what it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from goodstanding.core.errors import WrongUse

_NULL, _TEXT = "tag:yaml.org,2002:null", "tag:yaml.org,2002:str"


class _Written(yaml.SafeLoader):
    """Takes each value as it is written, but for nulls and merges (<<)."""


_Written.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in (_NULL, "tag:yaml.org,2002:merge")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def composed(text: str, name: object) -> yaml.Node | None:
    """The tree of a YAML text; None where it is empty.

    Args:
        text: the YAML.
        name: of the file or argument, for messages.

    Raises:
        WrongUse: it is no YAML, or a key stands twice in it; names the key and both lines.
    """
    return _tree(yaml.SafeLoader, text, name)


def loaded(text: str, name: object) -> Any:
    """What a YAML text holds, by YAML's own types; arguments and errors are those of `composed`."""
    return _content(yaml.SafeLoader, text, name)


def as_written(text: str, name: object) -> Any:
    """What a YAML text holds, with every value as the text that is written there.

    A value that is left out, or null, is None; in a list NULL is a word like any other.
    Arguments and errors are those of `composed`.
    """
    return _content(_Written, text, name)


def text_of(path: Path) -> str:
    """The text of a YAML file.

    Raises:
        WrongUse: the file cannot be read, or is not in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path}: no readable YAML: {error}") from None


def _content(loader: type[yaml.SafeLoader], text: str, name: object) -> Any:
    tree = _tree(loader, text, name)
    if tree is None:
        return None
    try:
        return loader("").construct_document(tree)
    # PyYAML looks a value up, or takes it apart, without a look whether it is of the type that a tag says
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
        raise _unreadable(error, name) from None


def _tree(loader: type[yaml.SafeLoader], text: str, name: object) -> yaml.Node | None:
    try:
        tree = yaml.compose(text, loader)
    # a file of brackets alone is nested deeper than Python can follow
    except (yaml.YAMLError, RecursionError) as error:
        raise _unreadable(error, name) from None
    nodes, seen = [tree] if tree else [], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias may name what holds it
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            _require_each_key_once(node, name)
            nodes += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            nodes += node.value
            _keep_words(node, loader)
    return tree


def _require_each_key_once(node: yaml.MappingNode, name: object) -> None:
    lines: dict[str, int] = {}
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue
        line = key.start_mark.line + 1
        if key.value in lines:
            raise WrongUse(
                f"{name}, line {line}: the key {key.value} stands here again after line {lines[key.value]}; "
                "leave one of them"
            )
        lines[key.value] = line


def _keep_words(node: yaml.SequenceNode, loader: type[yaml.SafeLoader]) -> None:
    for item in node.value if loader is _Written else ():
        if item.tag == _NULL and item.value:
            item.tag = _TEXT


def _unreadable(error: Exception, name: object) -> WrongUse:
    return WrongUse(f"{name}: no readable YAML: {' '.join(str(error).split())}")
