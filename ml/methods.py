"""The registry of prediction methods, from a constant to a stack of models.

`goodstanding evaluate` compares them all. The quick ones come from `ml.short_list`, those whose packages are
optional from `ml.extras`. Settings are the same for all tasks; those that matter were chosen on the cut
2010-12-31 to 2011-03-31 of Online Retail, which is none of its test cuts (log loss there of who buys within
90 days: network .614, stopped early .653; extra trees .613, with 10 in a leaf and fewer features .630; hybrid
.616, with a forest in place of the regression .627).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, StackingClassifier
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from ml.candidate import SEED, Candidate
from ml.extras import KerasNetwork, xgboost_trees
from ml.features import MEASURES, RANKS, RFM_RANK
from ml.lifetime import BGNBD, Histories, ParetoNBD
from ml.measures import Floats
from ml.short_list import SHORT_LIST
from ml.tasks import BEFORE, DAYS_AHEAD, ORDER_DAYS


class NextOrder(ClassifierMixin, BaseEstimator):
    """A count model of `ml.lifetime` as a classifier on the columns `HISTORY`.

    It is fitted on the orders before the cut alone, and so needs no labels.
    """

    def __init__(self, model: type[BGNBD] | type[ParetoNBD] = BGNBD) -> None:
        self.model = model

    def fit(self, X: Floats, y: Any) -> NextOrder:
        """Fit on X (rows, `HISTORY`); of y (rows,) only the names of the classes are used."""
        self.classes_ = np.unique(y)
        self.fitted_ = self.model.fit(self._histories(X))
        self.not_found_ = None if self.fitted_.drop_out_identifiable else "no drop-out identifiable"
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """(rows, 2) the probabilities of no order within the days ahead, and of at least one."""
        order = self.fitted_.probability_of_order(self._histories(X), X[0, -1])
        return np.column_stack([1 - order, order])

    @staticmethod
    def _histories(X: Floats) -> Histories:
        order_days, recency, tenure, _ = X.T
        return Histories(order_days - 1, tenure - recency, tenure)


class Segments(KMeans):
    """k-means that transforms each row to an indicator of its segment, not to distances from all of them."""

    def transform(self, X: Floats) -> Floats:
        """(rows, segments) zeros, with a single 1 in each row."""
        indicators: Floats = np.eye(self.n_clusters)[self.predict(X)]
        return indicators

    def fit_transform(self, X: Floats, y: Any = None, sample_weight: Any = None) -> Any:
        """The same for the rows fitted on; the method that it replaces would return distances."""
        return self.fit(X, sample_weight=sample_weight).transform(X)


def _trees(kind: Any) -> Any:
    return kind(n_estimators=200, min_samples_leaf=20, max_features=0.5, random_state=SEED)


def _svm() -> Any:
    # The cost of an exact kernel machine grows with the square of the customers; this one approximates the
    # kernel by 200 of them.
    kernel = Nystroem(gamma=0.02, n_components=200, random_state=SEED)
    machine = LinearSVC(C=0.05, random_state=SEED)
    calibrated = CalibratedClassifierCV(machine, ensemble=False, cv=_folds(3))
    return make_pipeline(StandardScaler(), kernel, calibrated)


def _mlp() -> Any:
    return make_pipeline(
        StandardScaler(),
        MLPClassifier((16,), alpha=10.0, learning_rate_init=0.003, max_iter=100, random_state=SEED),
    )


def _hybrid_kmeans() -> Any:
    segments = make_pipeline(StandardScaler(), Segments(4, n_init=3, random_state=SEED))
    beside = FeatureUnion([("ranks", StandardScaler()), ("segments", segments)])
    return make_pipeline(beside, LogisticRegression(C=0.01, max_iter=1000))


def _stack() -> Any:
    return StackingClassifier(
        [("neural_network", _mlp()), ("svm", _svm())], LogisticRegression(), cv=_folds(3)
    )


def _folds(number: int) -> StratifiedKFold:
    return StratifiedKFold(number, shuffle=True, random_state=SEED)


HISTORY = (ORDER_DAYS, "recency_days", "tenure_days", DAYS_AHEAD)
ON_RANKS = (*RANKS, RFM_RANK)
ON_MEASURES = (*MEASURES, RFM_RANK)

METHODS = {
    method.name: method
    for method in (
        SHORT_LIST["majority"],
        Candidate(
            "persistence",
            "the class of the window before the cut, with the probabilities that it had on the train cut",
            (BEFORE,),
            # a full tree on one column of codes is a table of each code's class shares
            lambda: DecisionTreeClassifier(random_state=SEED),
            "baseline",
        ),
        SHORT_LIST["recency_rule"],
        SHORT_LIST["rfm_rank"],
        Candidate(
            "bg_nbd",
            "BG/NBD: each customer orders at random at a rate of their own, until they leave after an order",
            HISTORY,
            NextOrder,
            "baseline",
        ),
        Candidate(
            "pareto_nbd",
            "Pareto/NBD: each customer orders at random at a rate of their own, until they leave at any time",
            HISTORY,
            lambda: NextOrder(ParetoNBD),
            "baseline",
        ),
        SHORT_LIST["logistic_regression"],
        Candidate(
            "lda",
            "linear discriminant analysis with shrinkage, on the ranks of all features",
            ON_RANKS,
            lambda: LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        ),
        Candidate(
            "naive_bayes",
            "Gaussian naive Bayes on the ranks of all features",
            ON_RANKS,
            GaussianNB,
        ),
        Candidate(
            "decision_tree",
            "one tree on all features, at least 20 customers in a leaf",
            ON_MEASURES,
            lambda: DecisionTreeClassifier(min_samples_leaf=20, random_state=SEED),
        ),
        Candidate(
            "random_forest",
            "200 trees on all features, at least 20 customers in a leaf",
            ON_MEASURES,
            lambda: _trees(RandomForestClassifier),
        ),
        Candidate(
            "extra_trees",
            "200 trees with borders drawn at random, at least 20 customers in a leaf",
            ON_MEASURES,
            lambda: _trees(ExtraTreesClassifier),
        ),
        Candidate(
            "knn",
            "the 50 customers nearest by the ranks of all features",
            ON_RANKS,
            lambda: make_pipeline(StandardScaler(), KNeighborsClassifier(50)),
            keeps_rows=True,
        ),
        Candidate(
            "svm",
            "support vector machine on ranks, Gaussian kernel through 200 customers, calibrated out of fold",
            ON_RANKS,
            _svm,
            keeps_rows=True,
        ),
        SHORT_LIST["lightgbm"],
        Candidate(
            "xgboost",
            "gradient boosted trees of one border each, on all features",
            ON_MEASURES,
            xgboost_trees,
            packages=("xgboost",),
        ),
        Candidate(
            "mlp",
            "neural network on the ranks of all features, one layer of 16",
            ON_RANKS,
            _mlp,
        ),
        Candidate(
            "keras",
            "neural network on the ranks of all features, one layer of 32, all rows at each step",
            ON_RANKS,
            lambda: make_pipeline(StandardScaler(), KerasNetwork()),
            packages=("keras", "jax"),
        ),
        Candidate(
            "hybrid_kmeans",
            "four k-means segments beside the ranks of all features, then logistic regression",
            ON_RANKS,
            _hybrid_kmeans,
        ),
        Candidate(
            "stack",
            "neural network and SVM out of fold, then logistic regression on their predictions",
            ON_RANKS,
            _stack,
            keeps_rows=True,
        ),
    )
}
