"""Measure how fast the API answers 200 requests a second, with 4,372 customers and with a million.

    python -m bench.api [--customers 4372] [--seconds 30] [--rate 200]

Not part of `make bench`. Requests are sent at even times whatever the answers do (an open load), and each is
timed from the moment at which it was due, so a server that falls behind shows it. Nine of ten ask for a
decision, with its receipt, one for a profile. It is measured twice: undisturbed, as the median of five
windows, and during ten publications. The customers are made up. Load and server share the machine, so each
figure comes with how late the load itself woke up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import psutil  # type: ignore[import-untyped]

from app.api.keys import SCOPES, Keys
from bench.cost import GOODSTANDING
from bench.readme import keep_apart
from bench.results import ApiFigures, LoadFigures
from bench.run import machine
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import POLICY, Settings
from goodstanding.core.vocabulary import moment
from goodstanding.decisions.policy import COLUMNS
from goodstanding.identity.pseudonyms import pseudonym

KEY = "5a" * 32
CONNECTIONS = 32
PUBLICATIONS = 10
WARM_UP = 3.0
WINDOWS = 5


def make_publication(path: Path, customers: int, seed: int = 7) -> None:
    """Make a publication of made-up customers with the ids 1, 2, ..., with all that answers read."""
    key = bytes.fromhex(KEY)
    names = pd.DataFrame({"customer_id": [pseudonym(str(number), key) for number in range(1, customers + 1)]})
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as file:
        file.register("names", names)
        file.execute(f"select setseed({seed / 100})")
        file.execute(
            """
            create schema marts;
            create schema predictions;
            create temp table drawn as
            select
                customer_id, cast(random() * 300 as integer) as recency,
                cast(1 + random() * random() * 40 as integer) as frequency,
                cast(random() * random() * 5000 as decimal(28, 4)) as monetary,
                cast(3 + random() * 9 as integer) as credit_score, random() * random() as return_rate,
                cast(random() * 3 as integer) as class_number
            from names;
            create temp table classed as
            select * exclude (class_number), ['Worst', 'Average', 'Good', 'Best'][class_number + 1] as class
            from drawn;
            create table marts.publication as
            select current_date as as_of, current_localtimestamp() as published_at, true as simulated;
            create table marts.customer_profiles as
            select
                customer_id, current_date as as_of, recency, frequency, monetary, credit_score, class,
                'free delivery' as benefits, 'Somewhere' as country, current_date - recency as last_order_day,
                0.5 as buy_30d_probability, 0.6 as buy_60d_probability, 0.7 as buy_90d_probability
            from classed;
            create table marts.master_data as
            select customer_id, current_date as as_of, credit_score, return_rate, frequency
            from classed;
            create table marts.class_borders as
            select
                last_day(current_date - interval 1 month)::date as as_of, 5.0 as q25, 7.0 as q50, 9.0 as q75;
            create table marts.rfm_borders as
            select
                as_of, unnest(['recency', 'frequency', 'monetary']) as measure, 3.0 as q25, 9.0 as q50,
                90.0 as q75
            from marts.class_borders;
            create table marts.customer_classes as
            select customer_id, (select as_of from marts.class_borders) as as_of, 'Good' as class, recency,
                frequency, monetary
            from classed;
            """
        )
        listed = ", ".join(f"nullif({name}, '') as {name}" for name in COLUMNS)
        file.execute(
            f"create table marts.policy as select {listed} from read_csv(?, all_varchar = true)",
            [str(POLICY)],
        )


@dataclass
class Load:
    """What happened to the requests.

    Attributes:
        took: milliseconds from due to answered, of each.
        statuses: the HTTP status of each; 0 where there was no answer.
        late: how many milliseconds after it was due each was sent.
    """

    took: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def figures(self) -> LoadFigures:
        """Percentiles in milliseconds, and how many requests were not answered with 200."""
        return {
            "requests": len(self.took),
            "p50_ms": _percentile(self.took, 50),
            "p99_ms": _percentile(self.took, 99),
            "most_ms": round(max(self.took), 1),
            "machine_p99_ms": _percentile(self.late, 99),
            "not_answered": sum(status != 200 for status in self.statuses),
        }


def _percentile(times: list[float], percent: int) -> float:
    return round(statistics.quantiles(times, n=100, method="inclusive")[percent - 1], 1)


async def put_load(port: int, key: str, customers: int, rate: int, seconds: float) -> Load:
    """Send requests at even times over connections that stay open."""
    draw = random.Random(1)
    waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    load = Load()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            due, request = await waiting.get()
            if not request:
                writer.close()
                await writer.wait_closed()
                return
            try:
                writer.write(request)
                status = await _status(reader)
            except (OSError, asyncio.IncompleteReadError):
                status = 0
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            load.took.append(1000 * (time.perf_counter() - due))
            load.statuses.append(status)

    connections = [asyncio.create_task(connection()) for _ in range(CONNECTIONS)]
    start = time.perf_counter() + 0.1
    for number in range(int(rate * seconds)):
        due = start + number / rate
        request = _request(draw, number, customers, key)
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        load.late.append(1000 * (time.perf_counter() - due))
        waiting.put_nowait((due, request))
    for _ in connections:
        waiting.put_nowait((0.0, b""))
    await asyncio.gather(*connections)
    return load


async def _status(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


def _request(draw: random.Random, number: int, customers: int, key: str) -> bytes:
    customer = str(draw.randint(1, customers))
    head = f"Host: bench\r\nX-API-Key: {key}\r\n"
    if number % 10 == 9:
        return f"GET /v1/customers/{customer} HTTP/1.1\r\n{head}\r\n".encode()
    question: dict[str, Any] = {"customer_id": customer, "basket": f"{draw.randint(100, 30_000) / 100:.2f}"}
    question |= {"method": "emi", "months": 6} if draw.random() < 0.5 else {"method": "cod"}
    body = json.dumps(question)
    return (
        f"POST /v1/decisions HTTP/1.1\r\n{head}Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def of_windows(windows: list[LoadFigures]) -> LoadFigures:
    """The figures of several windows: medians of times, sums of requests, and the p99 of each window."""
    return {
        "requests": sum(window["requests"] for window in windows),
        "p50_ms": statistics.median(window["p50_ms"] for window in windows),
        "p99_ms": statistics.median(window["p99_ms"] for window in windows),
        "most_ms": statistics.median(window["most_ms"] for window in windows),
        "machine_p99_ms": statistics.median(window["machine_p99_ms"] for window in windows),
        "not_answered": sum(window["not_answered"] for window in windows),
        "p99_ms_of_windows": sorted(window["p99_ms"] for window in windows),
    }


def _publish_meanwhile(home: Path, copies: list[Path], seconds: float) -> subprocess.Popen[bytes]:
    """Put the copies in place one after the other, in a process of its own."""
    code = (
        "import os, sys, time\n"
        "pause, target, *copies = sys.argv[1:]\n"
        "for copy in copies:\n    time.sleep(float(pause)); os.replace(copy, target)\n"
    )
    pause = str((seconds - 2) / len(copies))
    command = ["python3", "-c", code, pause, str(home / "published" / "current.duckdb"), *map(str, copies)]
    return subprocess.Popen(command)


@contextmanager
def serving(home: Path, workers: int) -> Iterator[tuple[int, str, int]]:
    """A server over a home that has a publication: its port, a key of every scope, and its process id."""
    _, key = Keys(Settings(home=home).api).new(SCOPES, per_second=1_000_000)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "GOODSTANDING_HOME": str(home), "GOODSTANDING_PSEUDONYM_KEY": KEY}
    command = [GOODSTANDING, "serve", "--port", str(port), "--workers", str(workers)]
    server = subprocess.Popen(command, env=environment)
    try:
        _wait(port)
        yield port, key, server.pid
    finally:
        server.terminate()
        server.wait(30)


def measure(customers: int, rate: int, seconds: float, workers: int) -> ApiFigures:
    """Measure undisturbed and during publications, in a home that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        current = home / "published" / "current.duckdb"
        make_publication(current, customers)
        copies = [home / f"copy-{number}.duckdb" for number in range(PUBLICATIONS)]
        for copy in copies:
            shutil.copyfile(current, copy)
        with serving(home, workers) as (port, key, process_id):
            asyncio.run(put_load(port, key, customers, rate, WARM_UP))
            before = _cpu_seconds(process_id)
            windows = [
                asyncio.run(put_load(port, key, customers, rate, seconds / WINDOWS)).figures()
                for _ in range(WINDOWS)
            ]
            quiet = of_windows(windows)
            cpu = (_cpu_seconds(process_id) - before) / quiet["requests"]
            publisher = _publish_meanwhile(home, copies, seconds)
            busy = asyncio.run(put_load(port, key, customers, rate, seconds)).figures()
            busy["publications"] = PUBLICATIONS
            publisher.wait()
            peak = _peak_mb(process_id)
    return {
        "customers": customers,
        "rate": rate,
        "seconds": seconds,
        "workers": workers,
        "undisturbed": quiet,
        "with_publications": busy,
        "cpu_ms_per_request": round(1000 * cpu, 2),
        "peak_mb": peak,
    }


def _wait(port: int) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise DataProblem("the server did not become ready in a minute")


def _processes(pid: int) -> list[psutil.Process]:
    server = psutil.Process(pid)
    return [server, *server.children(recursive=True)]


def _cpu_seconds(pid: int) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in _processes(pid))


def _peak_mb(pid: int) -> int:
    """The highest resident memory of a process and its children, added up, in MiB."""
    statuses = [Path(f"/proc/{process.pid}/status") for process in _processes(pid)]
    peaks = [
        int(line.split()[1])
        for status in statuses
        for line in status.read_text().splitlines()
        if line.startswith("VmHWM")
    ]
    return sum(peaks) // 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--customers", type=int, action="append")
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="write the figures to bench/results.json")
    given = parser.parse_args()
    on = machine()
    sizes = {
        str(customers): measure(customers, given.rate, given.seconds, given.workers)
        for customers in given.customers or (4372, 1_000_000)
    }
    result = {"machine": on, "measured_at": moment().isoformat(timespec="seconds"), "sizes": sizes}
    if given.keep:
        keep_apart("api", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
