"""Proves docker-compose.yaml on a running engine: all healthy, closed to others, and a real day through it.

Run it after `docker compose up --wait`, with the same `.env` and a landing that has at least one daily CSV
file; plain Python 3.11 is enough. It ends with an error at the first thing that is not so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT))

from app.runtime.airflow_api import AirflowApi, ApiError  # noqa: E402

STEPS = ["ingest", "check_raw", "transform", "check_invoices", "check_scores", "score", "check_predictions"]
STEPS += ["publish"]
PUBLISHED = """
import json, sys, duckdb
connection = duckdb.connect("/var/lib/goodstanding/published/current.duckdb", read_only=True)
def one(sql):
    return connection.execute(sql).fetchone()[0]
print(json.dumps({
    "as_of": str(one("select as_of from marts.publication")),
    "lines": one(f"select count(*) from marts.order_lines where event_day = '{sys.argv[1]}'"),
    "customers": one("select count(*) from marts.customer_profiles where class is not null"),
}))
"""


def compose(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run docker compose in the project's folder."""
    command = ["docker", "compose", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"{' '.join(command)}: {done.stderr}")
    return done


def inside(service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in a service's container."""
    return compose("exec", "-T", service, *command, check=check)


def variables() -> dict[str, str]:
    """What docker compose takes from `.env` and, before it, from the environment."""
    lines = (PROJECT / ".env").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs} | os.environ


def require(held: bool, what: str) -> None:
    """Say what holds, or end with what does not."""
    if not held:
        raise SystemExit(f"not so: {what}")
    print(f"ok: {what}", flush=True)


def check_a_missing_secret_is_refused() -> None:
    without = [name for name in os.environ if name.startswith(("AIRFLOW_", "POSTGRES_"))]
    require(not without, f"no secret is taken from this shell instead of .env ({without})")
    refused = compose("--env-file", os.devnull, "config", check=False)
    require(
        refused.returncode != 0 and "run make compose-env" in refused.stderr, "a missing secret is refused"
    )


def check_every_service_is_healthy_and_unprivileged() -> None:
    listed = compose("ps", "--all", "--format", "json").stdout.splitlines()
    services = {service["Service"]: service for service in map(json.loads, listed)}
    expected = {"api", "postgres", "api-server", "scheduler", "dag-processor", "triggerer"}
    require(set(services) == expected, f"the services are {sorted(expected)}")
    for name, service in services.items():
        require(service["Health"] == "healthy", f"{name} is healthy")
        published = [port["URL"] for port in service["Publishers"] or () if port["PublishedPort"]]
        require(all(url == "127.0.0.1" for url in published), f"{name} is published to 127.0.0.1 at most")
    for name in expected - {"postgres"}:
        require(inside(name, "id", "-u").stdout.strip() != "0", f"{name} does not run as root")
    touched = inside("scheduler", "touch", "/landing/written", check=False)
    require(touched.returncode != 0, "the landing cannot be written to")


def check_the_api_asks_for_the_password(address: str) -> None:
    try:
        AirflowApi(address, password="admin").get("/dags")
    except ApiError as error:
        require(error.status == 401, "a wrong password is refused")
    else:
        raise SystemExit("not so: a wrong password is refused")


def check_a_day_is_published(api: AirflowApi, file: Path) -> None:
    """Run the day of a file by `orders_daily`, and find exactly its lines published.

    Unpaused, the DAG runs yesterday's day, too; that may be published as well.
    """
    api.wait_for_dag("orders_daily", timeout=120)
    run = api.trigger("orders_daily", conf={"day": file.stem})
    state = api.wait_for_run("orders_daily", run, timeout=300)["state"]
    tasks = api.states("orders_daily", run)
    require(state == "success" and tasks == dict.fromkeys(STEPS, "success"), f"{file.stem} ran: {tasks}")
    published: dict[str, Any] = json.loads(inside("scheduler", "python", "-c", PUBLISHED, file.stem).stdout)
    lines = len(file.read_text(encoding="utf-8").splitlines()) - 1
    require(
        published["as_of"] >= file.stem, f"what is published says how things stood on {published['as_of']}"
    )
    require(published["lines"] == lines, f"all {lines} lines of {file.stem} are published")
    require(published["customers"] > 0, f"{published['customers']} customers have a class")


def check_decisions_are_answered(address: str, day: str) -> None:
    """The API of decisions has taken up what was published, and asks for a key."""
    key = inside("api", "goodstanding", "key", "new", "--scope", "decisions").stdout.strip()
    body = json.dumps({"customer_id": None, "basket": "20.00", "method": "cod"}).encode()
    headers = {"Content-Type": "application/json", "X-API-Key": key}
    for _ in range(60):
        request = urllib.request.Request(f"{address}/v1/decisions", body, headers)
        answer = json.load(urllib.request.urlopen(request, timeout=10))
        if answer["as_of"]:
            break
        time.sleep(1)
    require((answer["as_of"] or "") >= day, f"decisions rest on what is published: {answer['as_of']}")
    verified = inside("api", "goodstanding", "receipt", "verify", answer["receipt_id"], check=False)
    require(verified.returncode == 0, "a receipt is verified")
    try:
        urllib.request.urlopen(urllib.request.Request(f"{address}/v1/decisions", body), timeout=10)
    except urllib.error.HTTPError as error:
        require(error.code == 401, "without a key nothing is decided")
    else:
        raise SystemExit("not so: without a key nothing is decided")


def main() -> None:
    """Check one thing after the other."""
    known = variables()
    address = f"http://127.0.0.1:{known.get('GOODSTANDING_PORT') or 8080}"
    landing = PROJECT / (known.get("GOODSTANDING_LANDING") or "data/landing")
    check_a_missing_secret_is_refused()
    check_every_service_is_healthy_and_unprivileged()
    check_the_api_asks_for_the_password(address)
    api = AirflowApi(address, password=known["AIRFLOW_ADMIN_PASSWORD"])
    first = min(landing.glob("*.csv"))
    check_a_day_is_published(api, first)
    check_decisions_are_answered(f"http://127.0.0.1:{known.get('GOODSTANDING_API_PORT') or 8000}", first.stem)


if __name__ == "__main__":
    main()
