"""A small client of Airflow's REST API, for what is done to a running Airflow from outside: the supervisor's
wait for health, the tests under the real scheduler, the check of docker compose.

Nothing but the standard library, so that it also runs where the project is not installed.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

# Proxies are for the world outside; the API server is on this machine.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class ApiError(Exception):
    """The API refused a call; `status` is the HTTP status, the message holds the server's own words."""

    def __init__(self, call: str, status: int, body: str) -> None:
        super().__init__(f"{call}: {status} {body}")
        self.status = status


class AirflowApi:
    """One Airflow, as one of its users.

    Args:
        address: like http://127.0.0.1:8080.
        user: its name.
        password: exchanged for a token at the first call that needs one.
    """

    def __init__(self, address: str, user: str = "admin", password: str = "", timeout: float = 30) -> None:
        self.address = address.rstrip("/")
        self._login = {"username": user, "password": password}
        self._timeout = timeout
        self._token: str | None = None

    def health(self) -> dict[str, Any]:
        """Status and last heartbeat of metadatabase, scheduler, triggerer and dag_processor; needs no login.

        Raises:
            OSError: nothing answers at the address.
        """
        return self._call("GET", "/api/v2/monitor/health", None, {})

    def get(self, path: str) -> dict[str, Any]:
        """GET a path below /api/v2."""
        return self._call("GET", f"/api/v2{path}", None, self._authorization())

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST a body as JSON to a path below /api/v2."""
        return self._call("POST", f"/api/v2{path}", body, self._authorization())

    def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """PATCH a path below /api/v2."""
        return self._call("PATCH", f"/api/v2{path}", body, self._authorization())

    def wait_for_dag(self, dag_id: str, timeout: float = 60) -> None:
        """Wait until the dag processor has read a DAG, then unpause it.

        Raises:
            TimeoutError: it was not there in time; the message holds the import errors.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                self.patch(f"/dags/{dag_id}", {"is_paused": False})
                return
            except ApiError as error:
                if error.status != 404:
                    raise
            time.sleep(0.5)
        errors = self.get("/importErrors")["import_errors"]
        raise TimeoutError(f"no DAG {dag_id} after {timeout:.0f} s; import errors: {errors}")

    def trigger(
        self, dag_id: str, conf: dict[str, Any] | None = None, logical_date: str | None = None
    ) -> str:
        """Start a run of a DAG and return its run id."""
        run = self.post(f"/dags/{dag_id}/dagRuns", {"logical_date": logical_date, "conf": conf or {}})
        return str(run["dag_run_id"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120) -> dict[str, Any]:
        """Wait until a run has ended and return it; its `state` is success or failed.

        Raises:
            TimeoutError: it has not ended in time; the message holds the states of its tasks.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            run = self.get(f"/dags/{dag_id}/dagRuns/{run_id}")
            if run["state"] in ("success", "failed"):
                return run
            time.sleep(0.5)
        raise TimeoutError(
            f"{run_id} still {run['state']} after {timeout:.0f} s: {self.states(dag_id, run_id)}"
        )

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """State of every task of a run, by task id; None where it has not begun."""
        tasks = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return {task["task_id"]: task["state"] for task in tasks}

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            self._token = self._call("POST", "/auth/token", self._login, {})["access_token"]
        return {"Authorization": f"Bearer {self._token}"}

    def _call(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        request = urllib.request.Request(
            self.address + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **headers},
        )
        try:
            with _open(request, timeout=self._timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(
                    f"{method} {path}", error.code, error.read().decode(errors="replace")
                ) from None
        parsed: dict[str, Any] = json.loads(text) if text else {}
        return parsed


if __name__ == "__main__":
    # `python -m app.runtime.airflow_api scheduler` ends with 0 where that component is healthy, without
    # importing Airflow, which would cost a container's health check seconds of processor time.
    server = AirflowApi(os.environ.get("AIRFLOW_ADDRESS", "http://127.0.0.1:8080"), timeout=10)
    sys.exit(server.health()[sys.argv[1]]["status"] != "healthy")
