"""What the shipped policy earns on a simulated shop under the true chances, beside simpler ways to decide.

    python -m bench.profit [--customers N] [--days N] [--seed N] [--folder FOLDER]

Not part of `make bench`. It simulates a shop, loads all its days, trains the scorecards on what was known at
a cut, and asks about every later order on delivery and by instalments. Each order earns its margin and loses
its cost of failure by the chances with which its outcome was drawn, so chance decides nothing but which
orders there are. Rivals: refuse all, accept all, the card without caps and part payments, and the one rule
"refuse where this figure is above (below) that border" that earned most on the outcomes before the cut.

The shop is simulated to have accepted every order. So what a customer owes is what they owed then, and nobody
comes back more or less often for an answer.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.cost import GOODSTANDING, cost_of, environment_of, run_days
from bench.readme import BEST_RULE, REFUSE_ALL, keep_apart
from bench.results import MethodProfit, TruthProfit
from bench.run import machine
from bench.true_risks import FIRST, read_chances
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem, GoodstandingError
from goodstanding.core.settings import POLICY, Settings
from goodstanding.core.vocabulary import CLASSES
from goodstanding.decisions.decide import PARTIAL, YES, Question, Standing, verdict
from goodstanding.decisions.facts import in_stated_direction
from goodstanding.decisions.policy import COD, EMI, FIRST_TIME_BUYER, Rules, in_effect, read_policies
from goodstanding.decisions.scorecard import Scorecard
from goodstanding.ingest.samples.simulate_accounts import INSTALMENTS
from goodstanding.warehouse.files import open_warehouse
from ml import evaluate
from ml.candidate import SEED
from ml.evaluate import Interval
from ml.features import Snapshot
from ml.measures import Floats
from ml.scorecards.fit import card_probability
from ml.scorecards.orders import COD_REFUSED, Decision, newest_card, read_orders
from ml.scorecards.orders import EMI as EMI_LATE
from ml.scorecards.train import train_scorecard

ASKED_DAYS = 303
QUANTILES = (0.02, 0.05, *np.arange(0.1, 0.95, 0.1), 0.95, 0.98)
# A buyer who ceases to pay does so after any number of instalments but all, each as likely.
UNPAID = float(np.mean([(months + 1) / (2 * months) for months in INSTALMENTS]))
# {method: {what a bad outcome is: (column of `true_risks/orders.csv`, share of the basket that it loses)}}
TRUTHS = {
    COD: {"refused at the door": ("refusal_probability", 1.0)},
    EMI: {
        "never paid": ("default_probability", UNPAID),
        "30 days late, as if lost": ("late_30d_probability", 1.0),
    },
}
ACCEPT, REFUSE, CARD, RULE, SHIPPED, HALF = (
    "accept all",
    REFUSE_ALL,
    "card alone",
    BEST_RULE,
    "policy",
    "policy, half of the part payers leave",
)
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Answers:
    """What was answered to each order: the sum granted, and whether a part is to be paid beforehand."""

    granted: Floats
    is_part: Flags

    @classmethod
    def of(cls, baskets: Floats, is_granted: Flags) -> Answers:
        """Whole baskets, or nothing."""
        return cls(np.where(is_granted, baskets, 0.0), np.zeros(len(baskets), dtype=bool))


@dataclass(frozen=True)
class Rule:
    """Refuse where a figure is above, or below, a border; what is not known is accepted."""

    name: str
    is_above: bool
    border: float

    def refuses(self, values: Floats) -> Flags:
        return values > self.border if self.is_above else values < self.border

    def __str__(self) -> str:
        return f"{self.name} {'above' if self.is_above else 'below'} {self.border:.4g}"


def profits(
    baskets: Floats, answers: Answers, lost: Floats, margin: float, cost: float, leaving: float = 0.0
) -> Floats:
    """The expected profit of each order.

    Args:
        baskets: (orders,) amounts.
        answers: what of them is granted.
        lost: (orders,) the chance of a bad outcome, times the share of the sum at risk that it then loses.
        margin: earned of the basket where nothing is lost, as a share.
        cost: of failure, as a share of the sum at risk: what is paid beforehand is not lost.
        leaving: the share of those asked for a part payment who leave instead, and bring nothing.
    """
    earned = np.where(answers.granted > 0, (1 - lost) * margin * baskets - lost * cost * answers.granted, 0.0)
    return np.where(answers.is_part, (1 - leaving) * earned, earned)


def best_rule(learnt: Snapshot, rules: Rules) -> Rule:
    """The rule that earned most on orders whose outcome is known, by the margins and costs of a policy."""
    baskets = learnt.features["basket"].to_numpy()
    earned = np.where(learnt.labels, -float(rules.loss_share), float(rules.margin_share)) * baskets
    best: tuple[float, Rule] | None = None
    for name in learnt.features:
        values = learnt.features[name].to_numpy()
        known = values[~np.isnan(values)]
        for border in np.unique(np.quantile(known, QUANTILES)) if len(known) else ():
            for is_above in (True, False):
                rule = Rule(str(name), is_above, float(border))
                profit = float(earned[~rule.refuses(values)].sum())
                if best is None or profit > best[0]:
                    best = profit, rule
    assert best, "orders have a basket"
    return best[1]


def standings(asked: Snapshot, classes: Sequence[str], method: str) -> list[Standing]:
    """What the product would know of each customer on the day before an order, without open commitments."""
    known = []
    for values, class_ in zip(asked.features.to_dict("records"), classes, strict=True):
        is_stranger = not values["orders"] and not (method == EMI and values["instalments"] > 0)
        owed = values["outstanding"]
        plain = {str(name): None if np.isnan(value) else value for name, value in values.items()}
        known.append(
            Standing(
                FIRST_TIME_BUYER if is_stranger else None,
                as_of="",
                age_days=0,
                customer_class=None if is_stranger else class_,
                values={} if is_stranger else plain,
                outstanding=Decimal(0) if is_stranger or np.isnan(owed) else _money(owed),
                is_stranger=is_stranger,
            )
        )
    return known


def _money(amount: float) -> Decimal:
    return Decimal(repr(round(amount, 2)))


def answer(
    known: Sequence[Standing],
    asked: Snapshot,
    days: Sequence[date],
    card: Scorecard,
    rules: Rules,
) -> Answers:
    """Ask the policy about each order in turn; what it granted before stays open as commitments do.

    On delivery that is until delivery and return are over by the policy's days, by instalments on the day
    itself: from the next day on it is part of what the customer owes.
    """
    open_days = rules.delivery_days + rules.return_days if rules.decision == COD else 0
    open_of: dict[str, list[tuple[date, Decimal]]] = defaultdict(list)
    taken: dict[tuple[date, bool], Decimal] = defaultdict(Decimal)
    granted, is_part = [], []
    for standing, basket, customer, day in zip(
        known, asked.features["basket"], asked.customers, days, strict=True
    ):
        open_of[customer] = [(until, amount) for until, amount in open_of[customer] if until >= day]
        budget = day, standing.is_stranger
        now = replace(
            standing,
            granted_customer=sum((amount for _, amount in open_of[customer]), Decimal(0)),
            granted_day=taken[budget],
        )
        told = verdict(Question(rules.decision, max(_money(basket), Decimal("0.01"))), now, card, rules)
        if told.decision in (YES, PARTIAL):
            open_of[customer].append((day + timedelta(days=open_days), told.granted))
            taken[budget] += told.granted
        granted.append(float(told.granted))
        is_part.append(told.decision == PARTIAL)
    return Answers(np.array(granted), np.array(is_part))


def card_alone(known: Sequence[Standing], asked: Snapshot, card: Scorecard, rules: Rules) -> Answers:
    """Yes up to the chance that loses nothing and to every stranger, else no; no caps, no part payments."""
    columns = {name: asked.matrix([name])[:, 0] for name in card.names}
    is_stranger = np.array([standing.is_stranger for standing in known], dtype=bool)
    is_within = card_probability(card, columns) <= rules.priced_by(card).threshold()
    return Answers.of(asked.features["basket"].to_numpy(), is_stranger | is_within)


def intervals(
    customers: NDArray[np.object_], sums: Mapping[str, Floats], folds: int = evaluate.FOLDS
) -> dict[str, Interval]:
    """The sum of each column of (orders,) amounts, with an interval of 95 % by customer."""
    amounts = np.stack(list(sums.values()), axis=1)
    drawn = np.concatenate([drawn @ amounts for (drawn,) in evaluate.resamples([customers], SEED, folds)])
    low, high = np.quantile(drawn, [(1 - evaluate.CONFIDENCE) / 2, (1 + evaluate.CONFIDENCE) / 2], axis=0)
    return {
        name: {"value": round(float(value)), "low": round(float(least)), "high": round(float(most))}
        for name, value, least, most in zip(sums, amounts.sum(axis=0), low, high, strict=True)
    }


def hold_by_truth(
    asked: Snapshot, ways: Mapping[str, Answers], lost: Floats, rules: Rules, folds: int = evaluate.FOLDS
) -> TruthProfit:
    """The profit of each way to decide, and by how much the policy's exceeds it, order by order.

    Args:
        asked: the orders.
        ways: the answers of each, among them those of `SHIPPED`.
        lost: as in `profits`.
        rules: of the policy: margin and cost.
        folds: bootstrap resamples.
    """
    baskets = asked.features["basket"].to_numpy()
    margin, cost = float(rules.margin_share), float(rules.failure_cost_share)
    by_way = {name: profits(baskets, answers, lost, margin, cost) for name, answers in ways.items()}
    halved = profits(baskets, ways[SHIPPED], lost, margin, cost, leaving=0.5)
    rivals = {name: profit for name, profit in by_way.items() if name != SHIPPED}
    return {
        "profit": intervals(asked.customers, by_way | {HALF: halved}, folds),
        "more_than": {
            name: intervals(asked.customers, {of: own - profit for of, profit in rivals.items()}, folds)
            for name, own in ((SHIPPED, by_way[SHIPPED]), (HALF, halved))
        },
    }


def measure_method(
    connection: duckdb.DuckDBPyConnection,
    decision: Decision,
    models: Path,
    chances: pd.DataFrame,
    cut: date,
    until: date,
) -> MethodProfit:
    """Ask about the orders after the cut whose windows are over by a day, by each way to decide.

    Args:
        connection: the warehouse of the simulated shop.
        decision: the label by which the single rule is chosen.
        models: the folder of trained cards; without one of this method the policy's is used, as it ships.
        chances: as `bench.true_risks.read_chances` gives them.
        cut: the last day known.
        until: the day.
    """
    method = decision.method
    policy = in_effect(read_policies(POLICY), until)
    assert policy, "the shipped policy has no end"
    rules = policy.rules[method]
    _, fitted = newest_card(models, method, cut)
    card = in_stated_direction(Scorecard.from_json(fitted["scorecard"])) if fitted else rules.card
    asked = read_orders(connection, decision, cut, until - decision.window)
    days, classes = _days_and_classes(connection, asked)
    known = standings(asked, classes, method)
    rule = best_rule(read_orders(connection, decision, date.min, cut - decision.window), rules)
    baskets = asked.features["basket"].to_numpy()
    every = np.ones(len(baskets), dtype=bool)
    ways = {
        REFUSE: Answers.of(baskets, ~every),
        ACCEPT: Answers.of(baskets, every),
        RULE: Answers.of(baskets, ~rule.refuses(asked.features[rule.name].to_numpy())),
        CARD: card_alone(known, asked, card, rules),
        SHIPPED: answer(known, asked, days, card, rules),
    }
    truth = chances.loc[asked.features.index]
    return {
        "orders": len(baskets),
        "customers": len(np.unique(asked.customers)),
        "card": fitted["model_id"] if fitted else None,
        "rule": str(rule),
        "answers": {
            name: {
                "yes": round(float(((answers.granted > 0) & ~answers.is_part).mean()), 4),
                "part": round(float(answers.is_part.mean()), 4),
            }
            for name, answers in ways.items()
        },
        "truths": {
            name: hold_by_truth(asked, ways, share * truth[column].to_numpy(), rules)
            for name, (column, share) in TRUTHS[method].items()
        },
    }


def _days_and_classes(connection: duckdb.DuckDBPyConnection, asked: Snapshot) -> tuple[list[date], list[str]]:
    """The day of each order, and the customer's class by the borders of the day before."""
    dated = connection.execute(
        """
        select orders.invoice_no, any_value(orders.invoice_day), any_value([q25, q50, q75])
        from features.order_features as orders
        asof left join marts.class_borders as borders on borders.as_of < orders.invoice_day
        group by all
        """
    ).fetchall()
    by_number = {number: (day, borders) for number, day, borders in dated}
    days, classes = [], []
    for number, score in asked.features["credit_score"].items():
        day, borders = by_number[number]
        days.append(day)
        # without a score the comparisons are false, as for a customer without a class
        classes.append(CLASSES[sum(score > border for border in borders)])
    return days, classes


def load_shop(home: Settings, customers: int, days: int, seed: int) -> None:
    """Simulate a shop of so many days and load it; what lies in its folders already is used as it is."""
    landing = home.landing_folder
    if not (landing / "orders").exists():
        size = ["--customers", str(customers), "--days", str(days), "--seed", str(seed)]
        cost_of([GOODSTANDING, "simulate", str(landing), *size], environment_of(home))
    if not home.warehouse.exists():
        run_days(home, Days(FIRST, FIRST + timedelta(days=days - 1)))


def train(connection: duckdb.DuckDBPyConnection, home: Settings, cut: date) -> dict[str, str]:
    """Train the card of each method at the cut; why not, by label, where none ships."""
    refused = {}
    for decision in (COD_REFUSED, EMI_LATE):
        if newest_card(home.models, decision.method, cut)[1] is None:
            try:
                train_scorecard(connection, decision, cut, home.models)
            except DataProblem as error:
                refused[decision.method] = str(error)
    return refused


def measure(folder: Path, customers: int, days: int, seed: int, memory: str) -> dict[str, object]:
    """Build the shop in a folder and measure both methods; the fields of `bench.results.PolicyProfit`."""
    home = Settings(
        home=folder / "home",
        landing=folder / "landing",
        shop="simulated",
        as_of_days=days,
        memory_limit=memory,
    )
    load_shop(home, customers, days, seed)
    last = FIRST + timedelta(days=days - 1)
    cut = last - timedelta(days=ASKED_DAYS)
    chances = read_chances(home.landing_folder)
    with open_warehouse(home) as connection:
        refused = train(connection, home, cut)
        methods = {
            decision.method: measure_method(connection, decision, home.models, chances, cut, last)
            for decision in (COD_REFUSED, EMI_LATE)
        }
    return {
        "customers": customers,
        "days": days,
        "seed": seed,
        "cut": str(cut),
        "refused": refused,
        "methods": methods,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=730)
    parser.add_argument("--seed", type=int, default=356)
    parser.add_argument("--memory", default="2GB", help="for DuckDB")
    parser.add_argument("--folder", type=Path, help="to keep the shop in, or in which one lies already")
    asked = parser.parse_args()
    on = machine()
    with tempfile.TemporaryDirectory(prefix="goodstanding-profit-") as folder:
        try:
            measured = measure(
                asked.folder or Path(folder), asked.customers, asked.days, asked.seed, asked.memory
            )
        except GoodstandingError as error:
            sys.exit(f"bench: {error}")
    result = {"machine": on, **measured}
    keep_apart("profit", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
