"""The optional methods are deterministic and useful, and leave the state of a process unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from goodstanding.core.settings import PROJECT
from ml.extras import KerasNetwork, xgboost_trees
from ml.methods import METHODS

ROWS = np.random.default_rng(1).normal(size=(400, 3))
RARE = ROWS[:, 0] + np.random.default_rng(2).normal(size=400) > 1.8


def test_the_small_optional_package_is_installed_wherever_the_tests_run() -> None:
    assert METHODS["xgboost"].missing() is None


def test_boosted_stumps_do_not_depend_on_threads_and_learn_a_real_effect() -> None:
    one_thread, two_threads = (
        xgboost_trees().set_params(n_jobs=jobs).fit(ROWS, RARE).predict_proba(ROWS) for jobs in (1, 2)
    )

    assert one_thread.tobytes() == two_threads.tobytes()
    assert one_thread[RARE, 1].mean() > 2 * one_thread[~RARE, 1].mean()


@pytest.mark.skipif(METHODS["keras"].missing() is not None, reason=str(METHODS["keras"].missing()))
class TestKeras:
    def test_the_network_keeps_its_class_names_and_learns_a_real_effect(self) -> None:
        names = np.where(RARE, "yes", "no")
        network = KerasNetwork(alpha=1).fit(ROWS, names)

        assert network.classes_.tolist() == ["no", "yes"]
        assert (network.predict(ROWS) == names).mean() > 0.9

    def test_a_clone_is_the_same_network_and_another_seed_is_another(self) -> None:
        network = KerasNetwork(units=4, steps=20)
        first, again, other_seed = (
            model.fit(ROWS, RARE).predict_proba(ROWS)
            for model in (network, clone(network), clone(network).set_params(random_state=2))
        )

        assert first.tobytes() == again.tobytes() != other_seed.tobytes()

    def test_class_weights_raise_the_mean_probability_of_the_rare_class_to_one_half(self) -> None:
        tenth = np.arange(len(ROWS)) % 10 == 0
        means = [
            KerasNetwork(class_weight=weight).fit(ROWS, tenth).predict_proba(ROWS)[:, 1].mean()
            for weight in (None, "balanced")
        ]

        assert means == pytest.approx([0.1, 0.5], abs=0.05)

    def test_fitting_leaves_random_state_and_environment_as_they_were(self) -> None:
        chance, environment = np.random.get_state()[1].tolist(), dict(os.environ)
        KerasNetwork(steps=2).fit(ROWS, RARE)

        assert np.random.get_state()[1].tolist() == chance
        assert dict(os.environ) == environment

    def test_the_network_is_silent_and_leaves_no_file_or_variable_whatever_the_user_has_set(
        self, tmp_path: Path
    ) -> None:
        (tmp_path / ".keras").mkdir()
        settings = tmp_path / ".keras" / "keras.json"
        settings.write_text('{"backend": "tensorflow", "floatx": "float16"}')
        script = (
            "import os; before = dict(os.environ); import numpy as np; from ml.extras import KerasNetwork\n"
            "KerasNetwork(steps=2).fit(np.eye(4), [0, 1, 0, 1]).predict(np.eye(4))\n"
            "assert dict(os.environ) == before\n"
            "import keras; print(keras.backend.backend(), keras.config.floatx())"
        )
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=PROJECT,
            env=os.environ | {"HOME": str(tmp_path), "KERAS_BACKEND": "torch"},
            capture_output=True,
            text=True,
        )

        assert (done.stdout, done.stderr) == ("jax float32\n", "")
        assert list(tmp_path.rglob("*.json")) == [settings]
