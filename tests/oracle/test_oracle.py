"""What is published of drawn shops equals what an independent oracle says of the same files, row for row."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest

from tests.laws.history import own_settings, use_here
from tests.oracle.drawn import draw_shop
from tests.oracle.published import KEYS, Publication, Runner, differences, expected

# these pass all gates and are published; of the others the marts are compared as they are built
PUBLISHED = (1, 2)
BUILT = range(3, 13)


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with own_settings():  # else a file that follows would find the shop of this one
        yield Runner(tmp_path_factory.mktemp("oracle"), use_here)


@pytest.fixture(scope="module")
def published(runner: Runner) -> tuple[Publication, Publication]:
    """What the oracle says of the first shop, and what is published of it."""
    found = runner.publish(draw_shop(PUBLISHED[0]))
    return expected(draw_shop(PUBLISHED[0]), runner.landing), found


def test_a_drawn_shop_is_published_as_the_oracle_says(published: tuple[Publication, Publication]) -> None:
    wanted, found = published
    assert not differences(wanted, found)
    assert all(found.tables[table] for table in KEYS if table != "payment_behaviour")


@pytest.mark.parametrize("seed", [*PUBLISHED[1:], *BUILT])
def test_the_marts_of_a_drawn_shop_are_as_the_oracle_says(runner: Runner, seed: int) -> None:
    shop = draw_shop(seed)
    found = runner.publish(shop) if seed in PUBLISHED else runner.build(shop)
    told = differences(expected(shop, runner.landing), found)
    assert not told, f"shop {seed}:\n" + "\n".join(told[:20])


@pytest.mark.parametrize("table", KEYS)
def test_a_difference_in_any_column_of_any_table_is_found(
    published: tuple[Publication, Publication], table: str
) -> None:
    wanted, found = published
    if not wanted.tables[table]:
        pytest.skip("the shop has no such row")
    key, row = next(iter(wanted.tables[table].items()))
    for column in row:
        spoiled = copy.deepcopy(found)
        spoiled.tables[table][key][column] = "something else"
        (told,) = differences(wanted, spoiled)
        assert f"{column}: something else" in told
    lacking = copy.deepcopy(found)
    del lacking.tables[table][key]
    (told,) = differences(wanted, lacking)
    assert told.endswith("missing")


def test_a_line_that_is_set_aside_or_not_is_found(published: tuple[Publication, Publication]) -> None:
    wanted, found = published
    spoiled = copy.deepcopy(found)
    spoiled.set_aside = found.set_aside ^ {("orders/2010-10-30-1.csv", 2)}
    assert len(differences(wanted, spoiled)) == 1
