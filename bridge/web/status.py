"""`/healthz`, `/readyz` and `/metrics`: whether the process and the program work.

None of them counts as a webhook. On a public host, circuit breakers (with the names of
routes and destinations) are named only to those who may see the metrics.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from hmac import compare_digest
from typing import Any

from flask import Blueprint, Response, request

from bridge import metrics
from bridge.config import Metrics
from bridge.errors import StoreUnavailable
from bridge.store import Store, circuits, deliveries, leases
from bridge.web.answers import as_json, problem

#: Added where no delivering process runs; requests are stored all the same.
NO_WORKER = "no worker is running: start `reward-bridge worker`, or serve without "
NO_WORKER += "--no-deliver"
#: How long an answer of `/readyz` holds: it asks the store, and anybody may ask it.
READY_FOR = 1.0
#: Seconds after which `/metrics` counts the queue itself.
STATS_MAX_AGE = 15.0
_WRITE_TIMEOUT = 2.0


class Readiness:
    """Whether webhooks can be stored, and how the queue is.

    Args:
        store: Asked, and written to, at most once in `READY_FOR` seconds.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._until = 0.0
        self._found: dict[str, Any] | str = ""

    def check(self) -> dict[str, Any] | str:
        """Return what to tell, or in one sentence why the program is not ready."""
        if time.monotonic() >= self._until:
            try:
                self._found = self._ask()
            except StoreUnavailable:
                self._found = "the ledger cannot be read or written"
            self._until = time.monotonic() + READY_FOR
        return self._found

    def _ask(self) -> dict[str, Any] | str:
        if not self._store.is_current():
            return "the tables are missing or old: run `reward-bridge migrate`"
        # A full disk still reads: only a write tells.
        with self._store.write(_WRITE_TIMEOUT) as tx:
            leases.acquire(tx, "readyz", "readyz", timedelta(minutes=1))
        with self._store.read() as tx:
            age, depth = deliveries.oldest_due_age(tx), deliveries.count_due(tx)
            workers = leases.count_workers(tx)
            found = circuits.read_all(tx)
        content: dict[str, Any] = {
            "status": "ready",
            "oldest_due_seconds": None if age is None else age.total_seconds(),
            "depth": depth,
            "workers": workers,
            "stopped": {
                name: one.state.label
                for name, one in found.items()
                if not one.is_running
            },
        }
        if not workers:
            content["warning"] = NO_WORKER
        return content


def blueprint(
    store: Store, settings: Metrics, collect: Callable[[], object]
) -> Blueprint:
    """Make the pages.

    Args:
        store: For `/readyz`.
        settings: Who may see `/metrics`.
        collect: Counts the queue for `/metrics`.
    """
    views = Blueprint("status", __name__)
    readiness = Readiness(store)

    @views.get("/healthz")
    def healthz() -> Response:
        return as_json({"status": "alive"})

    @views.get("/readyz")
    def readyz() -> Response:
        found = readiness.check()
        if isinstance(found, str):
            return problem(503, found)
        if not settings.is_open and not _may_see(settings):
            found = {**found, "stopped": len(found["stopped"])}
        return as_json(found)

    @views.get("/metrics")
    def page() -> Response:
        if not _may_see(settings):
            return _closed(settings)
        if metrics.stats_age() > STATS_MAX_AGE:
            collect()
        return Response(metrics.page(), content_type=metrics.CONTENT_TYPE)

    return views


def _may_see(settings: Metrics) -> bool:
    """Tell whether the request shows the token; without one, whether all may see."""
    if not settings.token:
        return settings.is_open
    given = request.headers.get("Authorization", "")
    scheme, _, shown = given.partition(" ")
    secret = shown.strip().encode("latin-1", "replace")
    is_right = compare_digest(secret, settings.token.encode())
    return is_right and scheme.lower() == "bearer"


def _closed(settings: Metrics) -> Response:
    if not settings.token:
        detail = "closed on a public host; set BRIDGE_METRICS_TOKEN to open it"
        return problem(403, detail)
    detail = "send the token in Authorization: Bearer"
    return problem(401, detail, {"WWW-Authenticate": "Bearer"})
