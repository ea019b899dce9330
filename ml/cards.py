"""The model card: the JSON that is stored beside each model and says what it is and how it was made.

The keys are what a home on disk holds: an old card must still be read, so none of them is renamed.
"""

from __future__ import annotations

from typing import NotRequired, TypedDict

from goodstanding.decisions.scorecard import CardContent

Measured = list[float]
"""[value, low, high]: a figure and the bounds of its 95 % bootstrap interval over customers."""


class StoredCard(TypedDict):
    """The fields of every card in the model store, by which it is named and found."""

    model_id: str
    """{target}-{data_day}-{recipe}-{eight hex digits of the content}; also the name of its files."""
    target: str
    """The question that it answers, like buys_90d."""
    data_day: str
    """ISO date: made from what was known at the end of this day; it may be used on this day and later."""
    recipe: str
    """The method, like rfm_rank."""


class MadeBy(TypedDict):
    """The code and the libraries that made a card."""

    code_version: str
    library_versions: dict[str, str]
    """{python or a library: version}."""


class FittedOn(TypedDict):
    """The customers or orders that a model was fitted on."""

    cut: str
    """ISO date: features are as of the end of this day."""
    label_until: NotRequired[str]
    """ISO date: the last day of the window that gave the labels; absent where there are no labels (worth)."""
    orders: NotRequired[int]
    """Of a scorecard: the orders fitted on."""
    customers: int
    shares: NotRequired[list[float]]
    """(classes,) the share of each class; absent where there are no labels (worth)."""


class Matured(TypedDict):
    """How well the model that was in use at the newest labelled cut was calibrated on the actual outcomes."""

    cut: str
    """ISO date on which it predicted."""
    model_id: str
    customers: int
    mean_probability: float
    """The mean of what it predicted for the last class."""
    share: float
    """The share of customers who turned out to be of the last class."""


class CutResult(TypedDict):
    """What was measured on one test cut; all dates are ISO."""

    train_cut: str
    test_cut: str
    label_until: str
    """The last day of the test cut's window."""
    train_customers: int
    customers: int
    """Of the test cut."""
    train_shares: list[float]
    """(classes,) the share of each class in the train cut."""
    shares: list[float]
    """The same in the test cut."""
    measures: dict[str, dict[str, Measured]]
    """{method: {measure of `ml.measures`: [value, low, high]}}."""
    confusion: dict[str, list[list[int]]]
    """{method: a row for each actual class, a column for each class that was chosen}."""


Pooled = dict[str, dict[str, list[float] | list[list[int]]]]
"""{method: {measure: [value, low, high]}} over all test cuts, as `ml.evaluate.compare` pools them, with
`majority` (the accuracy of always choosing the commonest class of the train cut) and `confusion`."""


class Verdict(TypedDict):
    """How the methods did on one task, and which of them ships. Empty or None where the task was refused."""

    cuts: list[CutResult]
    """Oldest first."""
    pooled: Pooled
    baseline: str | None
    """The strongest baseline, by pooled AUC."""
    gain: Measured | None
    """The champion's pooled AUC over the baseline's; zeros where the champion is the baseline."""
    reason: str | None
    """Why it is the champion, in words."""


class Bins(TypedDict):
    """The bins of some values, as a card keeps them."""

    borders: list[float]
    """(bins - 1,) ascending; a value on a border belongs to the bin above it."""
    shares: list[float]
    """(bins + 1,) the share of the values in each bin; the last is that of missing values."""


class Reference(Bins):
    """The bins of the customers fitted on, and how far a later day may be from them."""

    allowed: float
    """The greatest stability index at which the model may be used."""


class References(TypedDict):
    """All references of a card."""

    inputs: dict[str, Reference]
    """By feature that the model reads; ranks are left out."""
    score: Reference
    """Of what the model predicted."""


class ModelCard(StoredCard, MadeBy):
    """A model of the store: of a question of `ml.tasks`, of worth (`ml.worth`), or a scorecard of orders."""

    description: str
    """The method, in words."""
    fitted_on: FittedOn
    figures: NotRequired[dict[str, str]]
    """How the figures were computed from which it learnt, as `goodstanding.warehouse.figures` says. Absent in
    cards of earlier versions."""
    references: References
    """Bins of the customers or orders fitted on, against which drift is measured."""
    balance: NotRequired[str | None]
    """How the classes were balanced in the fit, or None. Questions of `ml.tasks` only."""
    evaluation: NotRequired[str]
    """The model_id of the evaluation that appointed the method. Questions of `ml.tasks` only."""
    classes: NotRequired[list[str]]
    """The names of the classes, in the order of the probabilities. Absent for worth."""
    feature_names: NotRequired[list[str]]
    """The features, in the model's order. Absent for worth."""
    matured: NotRequired[Matured | None]
    """None where no model was in use then. Absent for scorecards, which are judged again every day."""
    parameters: NotRequired[dict[str, float]]
    """Of worth: the fitted parameters of the count model and of Gamma-Gamma."""
    value_correlation: NotRequired[float]
    """Of worth: of the number of orders with their mean value."""
    measured: NotRequired[Verdict]
    """Of a scorecard: how it did on later months, in place of an evaluation."""
    scorecard: NotRequired[CardContent]
    """Of a scorecard: its points."""
    seed: NotRequired[int]
    """Of every random draw. Absent for worth, which draws nothing."""
