"""Metamorphic laws: a changed landing changes the marts by exactly what its relation states."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.laws.history import own_settings, use_here
from tests.oracle.drawn import draw_shop
from tests.oracle.published import Runner
from tests.oracle.relations import ADDED, ALIKE, Relation, broken, check_relations, combined, tables_of

SHOPS = (101, 102, 103)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with own_settings():  # else a file that follows would find the shop of this one
        yield Runner(tmp_path_factory.mktemp("relations"), use_here)


@pytest.mark.parametrize("seed", SHOPS)
def test_a_changed_shop_changes_the_marts_by_exactly_what_its_relations_state(
    runner: Runner, seed: int
) -> None:
    told = check_relations(draw_shop(seed), runner.build, seed)
    assert not told, f"shop {seed}:\n" + "\n".join(told[:20])


@pytest.mark.parametrize("relation", [*ALIKE, *ADDED])
def test_each_relation_changes_the_files_or_the_mapping_of_some_shop(relation: type[Relation]) -> None:
    """Not of every shop: one with totals of lines, or in its repeated hour, has no exact counterpart."""
    changes = []
    for seed in range(SHOPS[0], SHOPS[0] + 20):
        shop = draw_shop(seed)
        changed, _ = combined([relation], shop, 1)
        changes.append((changed.files, changed.rules) != (shop.files, shop.rules))
    assert any(changes)


def test_a_change_of_the_marts_that_no_relation_states_is_found(runner: Runner) -> None:
    shop = draw_shop(SHOPS[0])
    tables = tables_of(runner.build(shop))
    assert not list(broken(tables, tables))
    for table, rows in tables.items():
        for column in rows[0] if rows else ():
            spoiled = {**tables, table: [{**rows[0], column: "something else"}, *rows[1:]]}
            assert len(list(broken(tables, spoiled))) == 2, f"{table}.{column}"
