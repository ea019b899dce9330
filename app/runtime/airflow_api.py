"""A small client of Airflow's REST API, for programs that watch or start runs of a running Airflow.

The supervisor waits with it until the programs that it started are healthy, the health checks of
docker-compose.yaml call it as a program, and tests start runs with it under the real scheduler. It does not
import Airflow, which takes seconds.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, cast

import httpx

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


class ApiError(Exception):
    """The API refused a call; `status` is the HTTP status, the message holds the server's own words."""

    def __init__(self, call: str, status: int, body: str) -> None:
        super().__init__(f"{call}: {status} {body}")
        self.status = status


@dataclass(frozen=True)
class ComponentHealth:
    """What Airflow says of one of its components.

    Attributes:
        is_healthy: in Airflow's own judgement; of a component that never ran it is False.
        heartbeat: the last one, in UTC; None where there was none. The metadata database never has one.
    """

    is_healthy: bool
    heartbeat: datetime | None

    def has_beaten_since(self, moment: datetime) -> bool:
        """Whether it is healthy by a heartbeat after a moment, and not by one of a former process."""
        return self.is_healthy and self.heartbeat is not None and self.heartbeat > moment


class DagRun(TypedDict):
    """One run of a DAG, with the fields of the API that are read here.

    Attributes:
        dag_run_id: its id, unique within its DAG.
        state: queued, running, success or failed.
        logical_date: ISO 8601; None for a manual run without one.
        data_interval_start: start of the interval that it is about, ISO 8601; None where it has no interval.
        start_date: when it began, ISO 8601; None before.
        end_date: when it ended, ISO 8601; None before.
    """

    dag_run_id: str
    state: str
    logical_date: str | None
    data_interval_start: str | None
    start_date: str | None
    end_date: str | None


class TaskInstance(TypedDict):
    """One task of one run, with the fields of the API that are read here.

    Attributes:
        task_id: name of the task.
        dag_run_id: the run that it belongs to.
        state: such as queued, running, success or failed; None where it has not begun.
        start_date: when it began, ISO 8601; None before.
        end_date: when it ended, ISO 8601; None before.
        pool: the pool of which it takes a slot.
        try_number: how often it has been tried, this time included.
    """

    task_id: str
    dag_run_id: str
    state: str | None
    start_date: str | None
    end_date: str | None
    pool: str
    try_number: int


class AirflowApi:
    """One Airflow, as one of its users.

    Args:
        address: like http://127.0.0.1:8080.
        user: its name.
        password: exchanged for a token at the first call that needs one.
        timeout: seconds that the server may take for an answer.

    Every call raises:
        ConnectionError: nothing answers at the address, or not in time.
        ApiError: the server refuses the call.
    """

    def __init__(self, address: str, user: str = "admin", password: str = "", timeout: float = 30) -> None:
        self._login: dict[str, Json] = {"username": user, "password": password}
        self._token: str | None = None
        # The API server is on this machine: no proxy of the environment is asked. A connection is closed with
        # its answer, because the server may be another process by the next call.
        self._http = httpx.Client(
            base_url=address.rstrip("/"),
            timeout=timeout,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def health(self) -> dict[str, ComponentHealth]:
        """Return the health of metadatabase, scheduler, triggerer and dag_processor; needs no login."""
        answer = self._call("GET", "/api/v2/monitor/health", None, {})
        return {
            name: _component_health(name, cast("dict[str, Json]", health)) for name, health in answer.items()
        }

    def get(self, path: str) -> dict[str, Json]:
        """GET a path below /api/v2 and return the JSON object of the answer."""
        return self._call("GET", f"/api/v2{path}", None, self._authorization())

    def post(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """POST a body as JSON to a path below /api/v2 and return the JSON object of the answer."""
        return self._call("POST", f"/api/v2{path}", body, self._authorization())

    def patch(self, path: str, body: Mapping[str, Json]) -> dict[str, Json]:
        """PATCH a path below /api/v2 and return the JSON object of the answer."""
        return self._call("PATCH", f"/api/v2{path}", body, self._authorization())

    def wait_for_dag(self, dag_id: str, timeout: float = 60) -> None:
        """Wait until the DAG processor has read a DAG, then unpause it.

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
        self, dag_id: str, conf: Mapping[str, Json] | None = None, logical_date: str | None = None
    ) -> str:
        """Start a run of a DAG and return its run id.

        Args:
            dag_id: of an unpaused DAG.
            conf: values of the DAG's params.
            logical_date: ISO 8601; the API admits one run of a DAG for each. None: a run without one.
        """
        body: dict[str, Json] = {"logical_date": logical_date, "conf": dict(conf or {})}
        return str(self.post(f"/dags/{dag_id}/dagRuns", body)["dag_run_id"])

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120) -> DagRun:
        """Wait until a run has ended, and return it; its `state` is success or failed.

        Raises:
            TimeoutError: it has not ended in time; the message holds the states of its tasks.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            run = cast(DagRun, self.get(f"/dags/{dag_id}/dagRuns/{run_id}"))
            if run["state"] in ("success", "failed"):
                return run
            time.sleep(0.5)
        states = self.states(dag_id, run_id)
        raise TimeoutError(f"{run_id} still {run['state']} after {timeout:.0f} s: {states}")

    def backfilled(self, dag_id: str) -> list[DagRun]:
        """Return the runs that backfills of a DAG have created, 100 at most."""
        answer = self.get(f"/dags/{dag_id}/dagRuns?run_type=backfill&limit=100")
        return cast("list[DagRun]", answer["dag_runs"])

    def tasks(self, dag_id: str, run_id: str) -> list[TaskInstance]:
        """Return the tasks of a run, 100 at most."""
        answer = self.get(f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=100")
        return cast("list[TaskInstance]", answer["task_instances"])

    def states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Return the state of every task of a run, by task id; None where it has not begun."""
        return {task["task_id"]: task["state"] for task in self.tasks(dag_id, run_id)}

    def _authorization(self) -> dict[str, str]:
        if self._token is None:
            self._token = str(self._call("POST", "/auth/token", self._login, {})["access_token"])
        return {"Authorization": f"Bearer {self._token}"}

    def _call(
        self, method: str, path: str, body: Mapping[str, Json] | None, headers: Mapping[str, str]
    ) -> dict[str, Json]:
        try:
            answer = self._http.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise ConnectionError(f"{method} {path}: {error or type(error).__name__}") from None
        if answer.status_code >= 400:
            raise ApiError(f"{method} {path}", answer.status_code, answer.text)
        return cast("dict[str, Json]", answer.json()) if answer.content else {}


def _component_health(name: str, fields: Mapping[str, Json]) -> ComponentHealth:
    heartbeat = fields.get(f"latest_{name}_heartbeat")
    return ComponentHealth(
        fields["status"] == "healthy", datetime.fromisoformat(str(heartbeat)) if heartbeat else None
    )


if __name__ == "__main__":
    # A container's health check: `python -m app.runtime.airflow_api scheduler` ends with 0 where that
    # component is healthy. It costs 0.2 s of processor time; `airflow jobs check` imports Airflow, which
    # costs seconds.
    server = AirflowApi(os.environ.get("AIRFLOW_ADDRESS", "http://127.0.0.1:8080"), timeout=10)
    sys.exit(not server.health()[sys.argv[1]].is_healthy)
