"""Settings: defaults, where they are read from, and the one-line error for a wrong one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from goodstanding.core.errors import WrongUse
from goodstanding.core.settings import PROJECT, Settings, settings


def test_without_any_setting_everything_lies_under_the_project(use_settings):
    current = use_settings()
    assert current.home == PROJECT / "var"
    assert current.landing_folder == PROJECT / "data" / "landing"
    assert (current.shop, current.as_of_days, current.threads) == ("online_retail", 400, 2)


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("landing", "/nowhere/at/all", "there is no folder /nowhere/at/all"),
        ("memory_limit", "plenty", "'plenty' is no amount of memory"),
        ("max_file_mb", "0", "greater than or equal to 1"),
        ("threads", "0", "greater than or equal to 1"),
        ("as_of_days", "many", "valid integer"),
        ("pseudonym_key", "abc123", "at least 32 bytes"),
        ("pseudonym_key", "zz" * 32, "hexadecimal"),
        ("port", "70000", "less than or equal to 65535"),
    ],
)
def test_a_wrong_setting_is_reported_with_its_fault_and_without_secrets(use_settings, name, value, fault):
    with pytest.raises(WrongUse) as caught:
        use_settings(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"setting GOODSTANDING_{name.upper()}: ") and fault in message
    assert "\n" not in message
    if name == "pseudonym_key":
        assert value not in message


def test_a_relative_home_is_made_absolute(use_settings, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert use_settings(home="here").home == tmp_path / "here"


def test_every_setting_is_documented_with_its_default():
    documented = set(
        re.findall(r"^#(GOODSTANDING_[A-Z_]+)=", Path(PROJECT, ".env.example").read_text(), re.M)
    )
    assert documented == {f"GOODSTANDING_{name.upper()}" for name in Settings.model_fields}


def test_an_empty_landing_is_replaced_by_the_simulated_shop_of_the_home(use_settings, tmp_path, monkeypatch):
    monkeypatch.setattr("goodstanding.core.settings.DEFAULT_LANDING", tmp_path / "landing")
    current = use_settings(home=tmp_path / "home")
    assert current.landing_folder == tmp_path / "landing"
    current.simulated_landing.mkdir(parents=True)
    assert current.landing_folder == current.simulated_landing
    (tmp_path / "landing").mkdir()
    (tmp_path / "landing" / "2011-01-04.csv").touch()
    assert current.landing_folder == tmp_path / "landing", "real files take precedence"


def test_a_setting_twice_in_the_file_of_settings_is_refused_with_both_lines(monkeypatch, tmp_path):
    path = tmp_path / ".env"
    path.write_text("# mine\nGOODSTANDING_THREADS=1\nOTHER=1\nOTHER=2\nexport GOODSTANDING_THREADS=2\n")
    monkeypatch.setitem(Settings.model_config, "env_file", path)
    said = f"{path}, line 5: GOODSTANDING_THREADS is set here again after line 2; leave one of them"
    with pytest.raises(WrongUse, match=re.escape(said)):
        settings()
