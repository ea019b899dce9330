"""Serves decisions and profiles over HTTP: the command `goodstanding serve`.

It reads only the published warehouse, and takes up a new publication by itself. No customer id gets into a
log, an error or a receipt: requests are not logged, and a refusal names the field and not its value.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app.api import routes
from app.api.answers import Answers
from app.api.keys import Keys, Rates
from app.api.problems import Door, answer_problems
from app.api.published import Watch
from app.api.receipts import Receipts, book_of
from goodstanding.core.errors import DataProblem
from goodstanding.core.settings import Settings, settings

log = logging.getLogger(__name__)
DAY_SECONDS = 24 * 60 * 60
# By this variable of the environment, workers learn the identity of the file of receipts.
RECEIPTS = "RECEIPTS_OF_THE_SERVER"


def create(current: Settings | None = None) -> FastAPI:
    """The application for a home; without settings, for that of this process."""
    current = current or settings()
    book = book_of(current)
    watch = Watch(current.publication, cards=book.cards)
    answers, keys, rates = Answers(current, watch, book), Keys(current.api), Rates(current.api)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watch.load()
        answers.receipts.hold(os.environ.get(RECEIPTS))
        ended = threading.Event()
        threading.Thread(target=_prune_daily, args=(answers, ended), daemon=True).start()
        yield
        ended.set()

    api = FastAPI(
        title="goodstanding",
        version="1",
        description="May a customer pay by instalments, or on delivery, up to what, and why?",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    answer_problems(api)
    api.add_middleware(Door, keys=keys, rates=rates)
    for router in (routes.profiles, routes.decisions, routes.letters, routes.policies):
        api.include_router(router(answers))
    api.include_router(routes.health(answers, watch))
    return api


def _prune_daily(answers: Answers, ended: threading.Event) -> None:
    """Drop old receipts at the start and then once a day; of several workers one does it."""
    while True:
        try:
            answers.prune(has_ended=ended.wait)
            if doubt := answers.clock_doubt():
                log.warning("%s", doubt)
        except (DataProblem, sqlite3.Error, OSError) as error:
            log.error("old receipts are not dropped today: %s", error)
        if ended.wait(DAY_SECONDS):
            return


def serve(current: Settings, host: str, port: int, workers: int) -> None:
    """Run the API until it is ended. Each worker is a process that takes up publications by itself."""
    import uvicorn

    from app.api.limits import LimitedProtocol

    # held open here, it is one file for as long as the server runs, also for a worker that starts anew
    receipts = Receipts(current.receipts, current.receipt_months)
    os.environ[RECEIPTS] = receipts.hold()
    uvicorn.run(
        "app.api.server:create",
        factory=True,
        host=host,
        port=port,
        workers=workers if workers > 1 else None,
        # a path may hold a customer id
        access_log=False,
        log_level="warning",
        server_header=False,
        http=LimitedProtocol,
        # who is asked for by a proxy is told by `app.api.proxies`
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )
