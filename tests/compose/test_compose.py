"""docker-compose.yaml and its image, checked by reading them: the Airflow of `make up`, closed, limited."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from app.runtime.airflow_env import QUIET, TUNING, airflow_environment
from app.runtime.compose_env import fresh_values
from goodstanding.core.days import Days
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import PROJECT, Settings
from goodstanding.warehouse.files import open_intake
from pipeline import steps
from tests.compose.check import MADE_UP_DAY, README_LINES, lines_of_the_docs, write_a_day

COMPOSE = PROJECT / "docker-compose.yaml"
# What differs in a container: paths, addresses and secrets.
OF_THE_CONTAINER = {
    "AIRFLOW__CORE__DAGS_FOLDER",
    "AIRFLOW__CORE__FERNET_KEY",
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE",
    "AIRFLOW__CORE__EXECUTION_API_SERVER_URL",
    "AIRFLOW__API__HOST",
    "AIRFLOW__API__PORT",
    "AIRFLOW__API__BASE_URL",
    "AIRFLOW__API__SECRET_KEY",
    "AIRFLOW__API_AUTH__JWT_SECRET",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN",
    "AIRFLOW__LOGGING__BASE_LOG_FOLDER",
    "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY",
}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return parsed


@pytest.mark.parametrize("service", ["api-server", "scheduler", "dag-processor", "triggerer"])
def test_airflow_is_configured_as_it_is_without_containers(
    service: str, services: dict[str, Any], tmp_path: Path
) -> None:
    ours = airflow_environment(Settings(home=tmp_path, _env_file=None), "postgresql://")
    theirs = services[service]["environment"]
    names = {name for name in ours if name.startswith("AIRFLOW__")}
    assert {name for name in theirs if name.startswith("AIRFLOW__")} == names
    same = (names - OF_THE_CONTAINER) | set(QUIET)
    assert {name: theirs[name] for name in same} == {name: ours[name] for name in same}
    assert {f"AIRFLOW__{name}" for name in TUNING} <= same


def test_compose_env_writes_every_variable_that_compose_requires() -> None:
    demanded = set(re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()))
    assert demanded == set(fresh_values())


def test_no_secret_has_a_default() -> None:
    optional = set(re.findall(r"\$\{(\w+)(?::?-|\})", COMPOSE.read_text()))
    assert not {name for name in optional if re.search("PASSWORD|SECRET|FERNET|UID", name)}


def test_ports_are_open_to_this_machine_only(services: dict[str, Any]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports == [
        "127.0.0.1:${GOODSTANDING_PORT:-8080}:8080",
        "127.0.0.1:${GOODSTANDING_API_PORT:-8000}:8000",
    ]


def test_every_service_has_a_health_check_limits_and_a_restart_policy(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert service["mem_limit"] and service["restart"] == "unless-stopped", name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_the_landing_is_read_only_and_must_exist(services: dict[str, Any]) -> None:
    mounts = [mount for mount in services["scheduler"]["volumes"] if isinstance(mount, dict)]
    assert [(mount["target"], mount["read_only"]) for mount in mounts] == [("/landing", True)]
    assert mounts[0]["bind"] == {"create_host_path": False}


# What a container gets in another way: a mount, a port, a file with a secret, or a database beside it.
OTHERWISE = {
    *("GOODSTANDING_HOME", "GOODSTANDING_LANDING", "GOODSTANDING_PORT", "GOODSTANDING_AIRFLOW_DATABASE"),
    *("GOODSTANDING_PSEUDONYM_KEY", "GOODSTANDING_PSEUDONYM_KEY_FILE"),
}
# What only a run or a training uses.
OF_RUNS = {
    *("GOODSTANDING_MEMORY_LIMIT", "GOODSTANDING_THREADS", "GOODSTANDING_MAX_FILE_MB"),
    *("GOODSTANDING_AS_OF_DAYS", "GOODSTANDING_REAL_DATA_REQUIRED"),
}
# What only the API uses.
OF_THE_API = {"GOODSTANDING_TRUSTED_PROXIES", "GOODSTANDING_PROXY_HEADER"}


@pytest.mark.parametrize("service", ["api-server", "scheduler", "dag-processor", "triggerer", "api"])
def test_every_setting_reaches_the_services_that_use_it(service: str, services: dict[str, Any]) -> None:
    documented = set(re.findall(r"^#?(GOODSTANDING_\w+)=", (PROJECT / ".env.example").read_text(), re.M))
    assert documented == {f"GOODSTANDING_{name.upper()}" for name in Settings.model_fields}
    environment = services[service]["environment"]
    for name in documented - OTHERWISE - (OF_RUNS if service == "api" else OF_THE_API):
        assert environment[name] == f"${{{name}:-}}", name


def test_the_api_sees_of_the_home_only_what_it_serves_and_its_own(services: dict[str, Any]) -> None:
    api = services["api"]
    mounts = {
        mount["target"].removeprefix("/var/lib/goodstanding/"): (
            mount["volume"]["subpath"],
            mount.get("read_only", False),
        )
        for mount in api["volumes"]
    }
    assert mounts == {
        "published": ("published", True),
        "policy": ("policy", True),
        "api": ("api", False),
        "receipts": ("receipts", False),
    }
    assert api["read_only"] and not any(name.startswith("AIRFLOW_") for name in api["environment"])
    assert api["user"] == services["scheduler"]["user"]


def test_the_pseudonym_key_is_a_secret_of_the_runs_and_the_api_and_no_variable(
    services: dict[str, Any],
) -> None:
    for name in ("api", "scheduler"):
        assert services[name]["secrets"] == ["pseudonym_key"]
        assert (
            services[name]["environment"]["GOODSTANDING_PSEUDONYM_KEY_FILE"] == "/run/secrets/pseudonym_key"
        )
    assert "${GOODSTANDING_PSEUDONYM_KEY" not in COMPOSE.read_text()


def test_the_image_has_everything_a_run_needs_and_nothing_that_git_ignores() -> None:
    allowed = {
        line[1:].rstrip("/")
        for line in (PROJECT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    tracked = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True)
    top = {path.split("/")[0] for path in tracked.stdout.splitlines()}
    assert allowed <= top | {"README.md"}
    assert {path.parent.name for path in PROJECT.glob("*/__init__.py")} <= allowed
    assert {"dags", "dbt_project", "shops", "requirements.lock", "pyproject.toml"} <= allowed


@pytest.fixture(scope="module")
def fresh_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git tracks, as they are now, and nothing else."""
    folder = tmp_path_factory.mktemp("fresh") / "clone"
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for path in filter(None, tracked.stdout.split("\0")):
        if (PROJECT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / path, folder / path)
    return folder


def test_on_a_fresh_clone_the_first_line_of_the_docs_prepares_everything_compose_needs(
    fresh_clone: Path, services: dict[str, Any]
) -> None:
    """It needs no installed package: the Python of this machine alone runs it."""
    assert lines_of_the_docs(fresh_clone) == README_LINES
    python = f"PYTHON={Path(sys.base_prefix, 'bin', 'python3')}"
    done = subprocess.run(
        [*README_LINES[0].split(), python],
        cwd=fresh_clone,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    values = dotenv_values(fresh_clone / ".env")
    for name in re.findall(r"\$\{(\w+):\?", COMPOSE.read_text()):
        assert values[name], name
    binds = [mount for mount in services["scheduler"]["volumes"] if isinstance(mount, dict)]
    for mount in binds:
        source = re.sub(
            r"\$\{(\w+):-([^}]*)\}", lambda match: values.get(match[1]) or match[2], mount["source"]
        )
        assert (fresh_clone / source).is_dir(), f"docker compose would refuse to start: no {source}"
    key = yaml.safe_load(COMPOSE.read_text())["secrets"]["pseudonym_key"]["file"]
    assert (fresh_clone / key).is_file()
    assert f"{fresh_clone / 'data' / 'landing'} is empty" in done.stdout
    assert README_LINES[1] in done.stdout, "it names the second line"


def test_the_shop_accepts_the_day_that_the_compose_check_makes_up(
    tmp_path: Path, use_settings: Callable[..., Settings]
) -> None:
    write_a_day(tmp_path)
    settings = use_settings(home=tmp_path / "home", landing=tmp_path, pseudonym_key="ab" * 32)
    days = Days.parse(MADE_UP_DAY)
    for step in (steps.ingest, steps.check_raw):
        step(days, "run")
    with open_intake(settings) as connection:
        assert connection.execute("select lines, admitted from raw.days").fetchall() == [(200, True)]


def test_a_run_on_an_empty_landing_says_what_to_do(
    tmp_path: Path, use_settings: Callable[..., Settings]
) -> None:
    (tmp_path / "landing").mkdir()
    use_settings(home=tmp_path / "home", landing=tmp_path / "landing", pseudonym_key="ab" * 32)
    with pytest.raises(DataProblem, match=r"landing is empty; put the shop's daily files .*make compose-env"):
        steps.ingest(Days.parse(MADE_UP_DAY), "run")
