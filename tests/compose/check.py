"""Checks docker-compose.yaml on a running engine: services are healthy and closed, and a day is published.

Run it in the project's folder after the README's two lines (`make compose-env`, then `docker compose up`);
plain Python 3.11 is enough, and it imports nothing from the project. If the landing is empty, as on a fresh
clone, it first checks that a run says so, and then puts a day there, as a user would. It stops with an error
at the first check that fails.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
README_LINES = ["make compose-env", "docker compose up --build --wait"]
# A day of a shop that is open on Sundays, in the columns of shops/online_retail.yml.
MADE_UP_DAY = "2010-12-05"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

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
# The services run on this machine: use no proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run(*command: str, check: bool = True, cwd: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    """Run a command in the project's folder, or in another."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if check and done.returncode:
        raise SystemExit(f"{shlex.join(command)}: {done.stdout}{done.stderr}")
    return done


def compose(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run docker compose in the project's folder."""
    return run("docker", "compose", *arguments, check=check)


def inside(service: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in a service's container."""
    return compose("exec", "-T", service, *command, check=check)


def call(
    method: str, url: str, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    """Send a request with a JSON body; return the status and the JSON of the answer."""
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **(headers or {})},
    )
    try:
        with OPENER.open(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(errors="replace")


class Airflow:
    """The REST API of the running Airflow, as its user admin."""

    def __init__(self, address: str, password: str) -> None:
        self.address = address
        status, answer = call("POST", f"{address}/auth/token", {"username": "admin", "password": password})
        require(status == 201, "the password of .env opens Airflow")
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Return the answer of a call below /api/v2; stop if it is refused."""
        status, answer = call(method, f"{self.address}/api/v2{path}", body, self.headers)
        if status >= 300:
            raise SystemExit(f"{method} {path}: {status} {answer}")
        return answer

    def wait_for_dag(self, dag_id: str) -> None:
        """Wait until the DAG processor has read a DAG, and unpause it."""
        wait_until(lambda: dag_id in {dag["dag_id"] for dag in self.ask("GET", "/dags")["dags"]}, 120, dag_id)
        self.ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def run_day(self, day: str) -> tuple[str, dict[str, str]]:
        """Run `orders_daily` for a day; return the id of the run and the state of each of its tasks."""
        body = {"logical_date": None, "conf": {"day": day}}
        path = (
            f"/dags/orders_daily/dagRuns/{self.ask('POST', '/dags/orders_daily/dagRuns', body)['dag_run_id']}"
        )
        wait_until(lambda: self.ask("GET", path)["state"] in ("success", "failed"), 300, f"the run of {day}")
        tasks = self.ask("GET", f"{path}/taskInstances")["task_instances"]
        return path, {task["task_id"]: task["state"] for task in tasks}


def wait_until(holds: Any, seconds: float, what: str) -> None:
    """Test the condition twice a second until it holds; on a timeout, stop and say what did not happen."""
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise SystemExit(f"not so: {what} within {seconds:.0f} s")
        time.sleep(0.5)


def variables() -> dict[str, str]:
    """Return the variables docker compose sees: those of `.env`, overridden by the environment."""
    lines = (PROJECT / ".env").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, value in pairs} | os.environ


def require(held: bool, what: str) -> None:
    """Print a check that holds, or stop with one that does not."""
    if not held:
        raise SystemExit(f"not so: {what}")
    print(f"ok: {what}", flush=True)


def lines_of_the_docs(project: Path) -> list[str]:
    """Return the lines of the shell block, in the README or docs/, that begins with `make compose-env`."""
    pages = [project / "README.md", *sorted((project / "docs").rglob("*.md"))]
    blocks = [
        block for page in pages for block in re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    ]
    matching = [block for block in blocks if block.startswith("make compose-env")]
    if not matching:
        raise SystemExit("no page shows how docker compose is started")
    return [line.partition("#")[0].strip() for line in matching[0].strip().splitlines()]


def check_a_fresh_clone_starts_by_the_lines_of_the_docs() -> None:
    """Follow the README on a new clone, but start no containers: the running ones hold the ports.

    It uses the image that already runs: an engine without a network cannot build it again.
    """
    lines = lines_of_the_docs(PROJECT)
    require(lines == README_LINES, f"the README's lines are {README_LINES}")
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder, "clone")
        run("git", "-c", "safe.directory=*", "clone", "--quiet", str(PROJECT), str(clone))
        own = {name: value for name, value in os.environ.items() if not name.startswith("GOODSTANDING_")}
        for command in (
            lines[0],
            "docker compose --project-name fresh-clone create --no-build --pull never",
            "docker compose --project-name fresh-clone down --volumes",
        ):
            done = subprocess.run(shlex.split(command), cwd=clone, env=own, capture_output=True, text=True)
            require(
                done.returncode == 0, f"on a fresh clone: {command} {done.stderr if done.returncode else ''}"
            )


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


def check_the_api_sees_only_what_it_serves() -> None:
    seen = set(inside("api", "ls", "-A", "/var/lib/goodstanding").stdout.split())
    require(seen == {"api", "policy", "published", "receipts"}, f"of the home the api sees {sorted(seen)}")
    for path in (
        "/var/lib/goodstanding/published/x",
        "/var/lib/goodstanding/policy/x",
        "/opt/goodstanding/x",
    ):
        require(inside("api", "touch", path, check=False).returncode != 0, f"the api cannot write {path}")
    for name in ("api", "scheduler"):
        held = inside(name, "env").stdout
        require("GOODSTANDING_PSEUDONYM_KEY=" not in held, f"no variable of {name} holds the pseudonym key")
    listed = inside(
        "scheduler", "find", "/var/lib/goodstanding", "-mindepth", "1", "-perm", "/077", "!", "-type", "l"
    )
    require(listed.stdout == "", f"nothing of the home is open to others: {listed.stdout[:500]}")


def check_a_wrong_password_is_refused(address: str) -> None:
    status, _ = call("POST", f"{address}/auth/token", {"username": "admin", "password": "admin"})
    require(status == 401, "a wrong password is refused")


def check_an_empty_landing_is_reported(airflow: Airflow) -> None:
    """A run of a day fails, and its log says that the landing is empty and what to do."""
    path, tasks = airflow.run_day(MADE_UP_DAY)
    require(tasks["ingest"] == "failed", "without any file the run fails at its first task")
    log = str(airflow.ask("GET", f"{path}/taskInstances/ingest/logs/1"))
    require(
        "/landing is empty" in log and "make compose-env" in log, "its log says that the landing is empty"
    )


def write_a_day(landing: Path) -> Path:
    """Put a small file of one day into the landing, as the shop would."""
    lines = [
        f"{536000 + n},22423,CAKE,{1 + n % 5},{MADE_UP_DAY} 10:{n % 60:02}:00,12.75,{12000 + n % 40}.0,France"
        for n in range(200)
    ]
    file = landing / f"{MADE_UP_DAY}.csv"
    file.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
    return file


def check_a_day_is_published(airflow: Airflow, file: Path) -> None:
    """Run the day of a file by `orders_daily`, and check that exactly its lines are published.

    Once unpaused, the DAG also runs yesterday; that day may be published as well.
    """
    _, tasks = airflow.run_day(file.stem)
    require(tasks == dict.fromkeys(STEPS, "success"), f"{file.stem} ran: {tasks}")
    published: dict[str, Any] = json.loads(inside("scheduler", "python", "-c", PUBLISHED, file.stem).stdout)
    lines = len(file.read_text(encoding="utf-8").splitlines()) - 1
    require(published["as_of"] >= file.stem, f"what is published is as of {published['as_of']}")
    require(published["lines"] == lines, f"all {lines} lines of {file.stem} are published")
    require(published["customers"] > 0, f"{published['customers']} customers have a class")


def check_decisions_are_answered(address: str, day: str) -> None:
    """The decisions API serves the new publication, and asks for a key."""
    key = inside("api", "goodstanding", "key", "new", "--scope", "decisions").stdout.strip()
    body = {"customer_id": None, "basket": "20.00", "method": "cod"}
    url, answer = f"{address}/v1/decisions", {}
    for _ in range(60):
        _, answer = call("POST", url, body, {"X-API-Key": key})
        if answer["as_of"]:
            break
        time.sleep(1)
    require((answer["as_of"] or "") >= day, f"decisions rest on what is published: {answer['as_of']}")
    verified = inside("api", "goodstanding", "receipt", "verify", answer["receipt_id"], check=False)
    require(verified.returncode == 0, "a receipt is verified")
    known = inside("api", "goodstanding", "profile", "12000", check=False)
    require(known.returncode == 0, f"the api knows customers by the key of the runs {known.stderr}")
    require(call("POST", url, body)[0] == 401, "without a key nothing is decided")


def main() -> None:
    """Run all checks in order."""
    known = variables()
    address = f"http://127.0.0.1:{known.get('GOODSTANDING_PORT') or 8080}"
    landing = PROJECT / (known.get("GOODSTANDING_LANDING") or "data/landing")
    check_a_fresh_clone_starts_by_the_lines_of_the_docs()
    check_a_missing_secret_is_refused()
    check_every_service_is_healthy_and_unprivileged()
    check_a_wrong_password_is_refused(address)
    airflow = Airflow(address, known["AIRFLOW_ADMIN_PASSWORD"])
    airflow.wait_for_dag("orders_daily")
    if not any(landing.iterdir()):
        check_an_empty_landing_is_reported(airflow)
        write_a_day(landing)
    first = min(landing.glob("*.csv"))
    check_a_day_is_published(airflow, first)
    check_decisions_are_answered(f"http://127.0.0.1:{known.get('GOODSTANDING_API_PORT') or 8000}", first.stem)
    check_the_api_sees_only_what_it_serves()


if __name__ == "__main__":
    main()
