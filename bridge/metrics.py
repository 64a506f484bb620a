"""The program's metrics: what is counted, under which names, and the `/metrics` page.

Modules call the `record_*` functions where they log. In one process the figures are
kept in memory; `configure` switches to prometheus-client's multiprocess mode: every
process of `serve` counts in files of one folder, and any of them writes the whole page.

No label takes a value out of a webhook or an answer: they are configured names and
closed sets of words.
"""

import math
import mmap
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from bridge.model import (
    CircuitState,
    Classification,
    DeliveryStatus,
    EventStatus,
    ReceiptResult,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
#: The route of deliveries whose route is no longer configured.
OTHER = "other"
#: The outcome of an attempt whose answer never came.
UNKNOWN = "unknown"
#: While authenticated webhooks arrive at least this often, rejected strangers do not
#: count as webhook failures (seconds).
AUTHENTICATED_WITHIN = 600.0

#: The environment variable by which prometheus-client finds its folder.
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_BUCKETS = {
    "answer_seconds": _FAST,
    "commit_webhooks": (1, 2, 4, 8, 16, 32, 64),
    "request_seconds": (*_FAST[2:], 20),
    # To a day.
    "delivery_latency_seconds": (*_FAST[3:10], 5, 30, 60, 300, 1800, 7200, 86400),
}

# Each name follows `bridge_`; a sentence, the names of its labels, and its buckets.
_COUNTERS = """
webhooks: Webhooks stored, by what became of them: source kind status
receipts: Delivery receipts, by what they changed: result
rejected_requests: Requests not answered with 2xx: reason
attempts: Calls that were to send a message: destination outcome
attempt_results: Attempts, by the status they led to: route status
dropped_keys: Keys of payloads that the destination does not know: route
"""
_GAUGES = """
webhook_consecutive_failures: Answers to webhooks since the last 2xx:
deliveries: Deliveries that have not ended well: route status
queue_depth: Deliveries that wait to be sent:
queue_age_seconds: How long the oldest due delivery has been due: route
circuit_state: 1 for the state of a circuit breaker: circuit state
store_up: 1 where the store could be read, else 0:
stats_updated_timestamp_seconds: When the queue was last counted:
stats_duration_seconds: How long that took:
"""
_HISTOGRAMS = """
answer_seconds: From a webhook's arrival to its answer:
commit_webhooks: Webhooks that shared one commit:
request_seconds: Length of the calls that were to send a message: destination
delivery_latency_seconds: From a stored webhook to its message's acceptance: destination
"""


class _Families(dict[str, Any]):
    """All metrics by name, in one registry."""

    def __init__(self) -> None:
        super().__init__()
        self.registry = CollectorRegistry()
        self._add(Counter, _COUNTERS)
        # Shown is what the process that set it last said, while that process lives.
        self._add(Gauge, _GAUGES, multiprocess_mode="livemostrecent")
        for line in _HISTOGRAMS.strip().splitlines():
            self._add(Histogram, line, buckets=_BUCKETS[line.partition(":")[0]])

    def _add(self, kind: type[Any], table: str, **options: Any) -> None:
        for line in table.strip().splitlines():
            name, text, labels = line.split(":")
            self[name] = kind(
                f"bridge_{name}",
                f"{text.strip()}.",
                labels.split(),
                registry=self.registry,
                **options,
            )


class _Shared:
    """Figures that are not sums, in memory shared with processes forked from here.

    Two processes at once may count one failure too few: it is a warning, not a ledger.
    """

    def __init__(self) -> None:
        #: Webhook failures since the last 2xx; rejected strangers since then; times of
        #: the last authenticated webhook and of the last count of the queue (seconds
        #: since 1970).
        self.cells = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("d")

    def fail(self, *, is_authenticated: bool | None, now: float) -> int:
        if is_authenticated:
            self.cells[2] = now
        self.cells[1 if is_authenticated is False else 0] += 1
        return self.failures(now)

    def succeed(self, now: float) -> None:
        self.cells[0] = self.cells[1] = 0
        self.cells[2] = now

    def failures(self, now: float) -> int:
        is_quiet = now - self.cells[2] > AUTHENTICATED_WITHIN
        return int(self.cells[0] + (self.cells[1] if is_quiet else 0))


@dataclass(slots=True)
class _State:
    families: _Families
    shared: _Shared = field(default_factory=_Shared)
    folder: Path | None = None


_state = _State(_Families())


def configure(folder: Path) -> None:
    """Count in files of this folder from now on, together with processes forked later.

    Args:
        folder: Exists and is empty; its owner removes it when all processes have ended.
    """
    os.environ[_FOLDER] = str(folder)  # noqa: TID251 - its interface
    # Chosen once at import otherwise, long before a command knows that it will fork.
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
    _state.families, _state.folder = _Families(), folder
    _state.shared = _Shared()


def declare(routes: Iterable[str], destinations: Iterable[str]) -> None:
    """Show counters at 0 before anything happened, so that their first steps count.

    Args:
        routes: The configured names.
        destinations: Likewise.
    """
    families = _state.families
    for destination in destinations:
        for outcome in (*Classification, UNKNOWN):
            families["attempts"].labels(destination, outcome.lower())
        for name in ("request_seconds", "delivery_latency_seconds"):
            families[name].labels(destination)
    for route in routes:
        families["dropped_keys"].labels(route)
        for status in DeliveryStatus:
            families["attempt_results"].labels(route, status.value)


def mark_dead(pid: int) -> None:
    """Stop showing the gauges of a process that has ended."""
    if _state.folder is not None:
        mark_process_dead(pid, str(_state.folder))  # type: ignore[no-untyped-call]


def page() -> bytes:
    """Write the figures of all processes in Prometheus' text format."""
    _state.families["webhook_consecutive_failures"].set(consecutive_webhook_failures())
    registry = _state.families.registry
    if _state.folder is not None:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(_state.folder))  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def record_event(source: str, kind: str, status: EventStatus) -> None:
    """Count a stored webhook."""
    _state.families["webhooks"].labels(source, kind, status.value).inc()


def record_answer(seconds: float) -> None:
    """Count a webhook answered with 2xx, which ends a row of failures."""
    _state.families["answer_seconds"].observe(seconds)
    _state.shared.succeed(time.time())


def record_commit(webhooks: int) -> None:
    """Count one commit and the webhooks that shared it."""
    _state.families["commit_webhooks"].observe(webhooks)


def record_receipt(result: ReceiptResult) -> None:
    """Count a delivery receipt."""
    _state.families["receipts"].labels(result.value).inc()


def record_rejected(reason: str) -> None:
    """Count a request that was not answered with 2xx.

    Args:
        reason: A word of a closed set (`not_authentic`, `too_large`, …).
    """
    _state.families["rejected_requests"].labels(reason).inc()


def record_webhook_failure(*, is_authenticated: bool | None) -> int:
    """Count a POST to a webhook address that was not answered with 2xx.

    Args:
        is_authenticated: False for a request that proved nothing: it counts only while
            no authenticated webhook has arrived for `AUTHENTICATED_WITHIN`; None where
            the request was not looked at (too large, not stored).

    Returns:
        The failures in a row, in all processes together.
    """
    return _state.shared.fail(is_authenticated=is_authenticated, now=time.time())


def consecutive_webhook_failures() -> int:
    """Return how many webhooks in a row were not answered with 2xx."""
    return _state.shared.failures(time.time())


def record_attempt(destination: str, outcome: str, seconds: float) -> None:
    """Count one call; `outcome` is that of `model.Attempt`."""
    _state.families["attempts"].labels(destination, outcome.lower()).inc()
    _state.families["request_seconds"].labels(destination).observe(seconds)


def record_result(route: str, status: DeliveryStatus) -> None:
    """Count where an attempt led."""
    _state.families["attempt_results"].labels(route, status.value).inc()


def record_latency(destination: str, seconds: float) -> None:
    """Note how long after its webhook a message was accepted."""
    _state.families["delivery_latency_seconds"].labels(destination).observe(seconds)


def record_dropped_keys(route: str, count: int) -> None:
    """Count keys left out of a payload."""
    _state.families["dropped_keys"].labels(route).inc(count)


def set_stats(
    *,
    deliveries: Mapping[tuple[str, DeliveryStatus], int],
    depth: int,
    queue_age: Mapping[str, timedelta],
    circuits: Mapping[str, CircuitState],
    duration: timedelta,
) -> None:
    """Show what was just counted in the store.

    Args:
        deliveries: By route and status; every pair that is to be shown, 0 included.
        depth: Deliveries that wait.
        queue_age: By route: how long its oldest due delivery has been due.
        circuits: By name (`destination:iterable`), every one.
        duration: How long the counting took.
    """
    gauges, now = _state.families, time.time()
    for (route, status), number in deliveries.items():
        gauges["deliveries"].labels(route, status.value).set(number)
    for route, age in queue_age.items():
        gauges["queue_age_seconds"].labels(route).set(age.total_seconds())
    for name, state in circuits.items():
        for one in CircuitState:
            gauges["circuit_state"].labels(name, one.value).set(float(one is state))
    gauges["queue_depth"].set(depth)
    gauges["stats_duration_seconds"].set(duration.total_seconds())
    gauges["stats_updated_timestamp_seconds"].set(now)
    gauges["store_up"].set(1)
    _state.shared.cells[3] = now


def stats_age() -> float:
    """Return how many seconds ago any process last counted the queue."""
    return time.time() - _state.shared.cells[3]


def set_store_down() -> None:
    """Show that the store cannot be read, and no figures of a while ago."""
    gauges = _state.families
    gauges["store_up"].set(0)
    for name in ("stats_updated_timestamp_seconds", "queue_depth"):
        gauges[name].set(math.nan)
    for name in ("deliveries", "queue_age_seconds", "circuit_state"):
        for metric in gauges[name].collect():
            for sample in metric.samples:
                gauges[name].labels(**sample.labels).set(math.nan)
