"""Every chore runs in a loop of its own, which no error ends."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import pytest

from bridge import maintenance, metrics
from bridge.config import Config
from bridge.model import Action, DeliveryFilter, DeliveryStatus
from bridge.store import Store, deliveries, events, jobs

pytestmark = pytest.mark.integration


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


@pytest.fixture
def stop() -> Iterator[Event]:
    event = Event()
    yield event
    event.set()


def test_maintenance_sweeps_counts_and_advances_jobs_until_it_is_stopped(
    config: Config,
    store: Store,
    bring: Callable[..., str],
    clock: Any,
    tick: Callable[..., datetime],
    stop: Event,
) -> None:
    clock.now = datetime.now(UTC)
    old = bring(DeliveryStatus.ACCEPTED)
    tick(days=31)
    dead = bring(DeliveryStatus.DEAD)
    tick(seconds=1)
    with store.write() as tx:
        wanted = DeliveryFilter(status=DeliveryStatus.DEAD)
        jobs.create(tx, Action.DROP, wanted, actor="Ann", planned=1, reason="test")
    threads = maintenance.start(config, store, stop)

    def is_done() -> bool:
        with store.read() as tx:
            detail = deliveries.detail(tx, old)
            dropped = deliveries.statuses(tx, [dead])[dead]
            assert detail is not None
            is_redacted = bool(events.redacted(tx, [detail.event.event.id]))
        return is_redacted and dropped is DeliveryStatus.DROPPED

    eventually(is_done)
    eventually(lambda: b"bridge_store_up 1.0" in metrics.page())
    stop.set()
    for thread in threads:
        thread.join(10)
    assert [one.name for one in threads if one.is_alive()] == []
    assert {one.name for one in threads} == {"stats", "jobs", "wal", "retention"}


def test_an_error_in_a_chore_does_not_end_its_loop(
    stop: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maintenance, "RESTART", 0.01)
    runs = []

    def chore() -> Iterator[float]:
        runs.append(timedelta(0))
        yield 0.0
        raise RuntimeError("a bug")

    [thread] = maintenance.start_chores({"chore": chore}, stop)
    eventually(lambda: len(runs) > 2)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
