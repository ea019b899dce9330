"""Strict YAML: a key that stands twice is an error with both lines, and values come as they are written."""

from __future__ import annotations

import pytest

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import PROJECT
from goodstanding.core.strict_yaml import as_written, composed, loaded, text_of

READERS = pytest.mark.parametrize("read", [as_written, loaded, composed])


@READERS
@pytest.mark.parametrize(
    ("text", "second", "key", "first"),
    [
        ("a: 1\nb: 2\na: 3\n", 3, "a", 1),
        ("a: 1\n\n# again, and alike\na: 1\n", 4, "a", 1),
        ('shop:\n  "zone": x\n  zone: y\n', 3, "zone", 2),
        ("{a: 1, b: {c: 1, c: 2}}", 1, "c", 1),
        ("list:\n  - {a: 1}\n  - x: 1\n    x:\n", 4, "x", 3),
        ("a: &held\n  b: 1\n  b: 2\nc: *held\n", 3, "b", 2),
        ("0123: 1\n0123: 2\n", 2, "0123", 1),
    ],
)
def test_a_key_twice_is_refused_with_the_file_the_key_and_both_lines(read, text, second, key, first):
    with pytest.raises(WrongUse) as caught:
        read(text, "mine.yml")
    told = f"mine.yml, line {second}: the key {key} stands here again after line {first}; leave one of them"
    assert str(caught.value) == told


@READERS
def test_the_same_key_in_two_places_is_no_key_twice(read):
    read("a: {x: 1}\nb: {x: 1}\nc: [{x: 1}, {x: 1}]\n", "mine.yml")


@pytest.mark.parametrize(
    "value",
    [
        *(
            "no",
            "NO",
            "off",
            "y",
            "true",
            "0123",
            "1_000",
            "12:30",
            "1e3",
            "0x1F",
            "2011-12-01",
            ".5",
            "1.10",
        ),
        *("2011-12-01 08:26:00", "=", "NaN", ".inf"),
    ],
)
def test_a_value_comes_as_it_is_written(value):
    written = f"one: {value}\nmany: [{value}]\n{value}: 1\n"
    assert as_written(written, "mine.yml") == {"one": value, "many": [value], value: "1"}


def test_a_value_that_is_left_out_is_none_and_null_in_a_list_is_a_word():
    written = "a:\nb: null\nc: ~\nd: [NULL, null, ~, '']\ne: 'null'\n"
    read = {"a": None, "b": None, "c": None, "d": ["NULL", "null", "~", ""], "e": "null"}
    assert as_written(written, "mine.yml") == read


def test_one_part_may_be_written_once_and_used_twice():
    written = "base: &base {a: 1, b: 2}\nmine:\n  <<: *base\n  b: 3\n"
    assert as_written(written, "mine.yml")["mine"] == {"a": "1", "b": "3"}


@READERS
@pytest.mark.parametrize("text", ["a: [", "a: b: c", "a: 1\n---\nb: 2\n", "[" * 5000, "a: \x00"])
def test_what_is_no_yaml_is_refused_in_one_line(read, text):
    with pytest.raises(WrongUse, match=r"^mine\.yml: no readable YAML: ") as caught:
        read(text, "mine.yml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [as_written, loaded])
@pytest.mark.parametrize(
    "value", ["!!int ''", "!!float ''", "!!float x", "!!bool x", "!!timestamp x", "!!mine x"]
)
def test_a_value_that_is_not_of_its_tag_is_refused_in_one_line(read, value):
    with pytest.raises(WrongUse, match=r"^mine\.yml: no readable YAML: ") as caught:
        read(f"a: {value}\n", "mine.yml")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused_in_one_line(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_bytes(b"source: caf\xe9")
    with pytest.raises(WrongUse, match="no readable YAML"):
        text_of(path)
    with pytest.raises(WrongUse, match="cannot be read: Is a directory"):
        text_of(tmp_path)


@pytest.mark.parametrize(
    "path",
    [path for folder in ("dbt_project", "shops") for path in (PROJECT / folder).rglob("*.yml")],
    ids=lambda path: path.name,
)
def test_no_yaml_of_the_project_has_a_key_twice(path):
    assert loaded(text_of(path), path)
