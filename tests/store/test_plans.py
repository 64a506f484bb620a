"""How SQLite does what is asked often: by its indexes, whatever else is stored."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from bridge.model import Claim, DeliveryFilter, DeliveryStatus
from bridge.store import Store, circuits, deliveries, in_doubt, new_id, queue, stats
from bridge.store.schema import ACTIVE, FAILED
from tests.store.conftest import new_delivery, new_event
from tests.store.ledger import add

Fill = Callable[..., list[str]]
SECOND = timedelta(seconds=1)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bridge.db'}"


def claim(store: Store, *routes: str, is_fresh: bool) -> list[Claim]:
    with store.write() as tx:
        return queue.claim(
            tx, routes, is_fresh=is_fresh, limit=10, lease=SECOND, token=new_id()
        )


def steps_of_claims(store: Store, *routes: str) -> int:
    """Count the steps of SQLite's machine while it claims; time would be a guess."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with store.write() as tx:
        driver: Any = tx.connection.connection.driver_connection
        driver.set_progress_handler(count, 1)
        for fresh in (True, False):
            queue.claim(
                tx, routes, is_fresh=fresh, limit=10, lease=SECOND, token=new_id()
            )
        driver.set_progress_handler(None, 0)
    return steps


def test_fifty_thousand_deliveries_of_a_stopped_route_slow_no_claim(
    store: Store, fill: Fill
) -> None:
    [template] = fill(1, route="stopped")
    fill(10, route="running")
    claim(store, "running", is_fresh=True)
    fill(10, route="running")
    before = steps_of_claims(store, "running", "other")
    fill(10, route="running")
    with store.write() as tx:
        copy_rows(tx.connection, template, 50_000)
    assert steps_of_claims(store, "running", "other") <= before * 1.1


def copy_rows(connection: Any, template: str, count: int) -> None:
    columns = (
        "event_id, route, destination, endpoint, key, recipient, code, "
        "age_started_at, created_at, updated_at"
    )
    connection.execute(
        text(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            f"WHERE i < :count) INSERT INTO deliveries (id, due_at, {columns}) "
            f"SELECT randomblob(16), due_at - i, {columns} FROM deliveries, n "
            "WHERE deliveries.id = :template"
        ),
        {"count": count, "template": bytes.fromhex(template.replace("-", ""))},
    )


def plans_of(store: Store, act: Callable[[], object]) -> list[str]:
    """Ask SQLite how it does each statement that an action runs."""
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, *said_now: Any) -> None:
        values = said_now[1]
        said.append((said_now[0], values[0] if isinstance(values, list) else values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    plans: list[str] = []
    with store.read() as tx:
        for statement, values in said:
            explained = tx.connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", values
            )
            plans += [line[3] for line in explained]
    return plans


def test_what_a_tick_asks_is_sought_in_indexes(
    store: Store, fill: Fill, clock: Any
) -> None:
    fill(1)

    def tick() -> None:
        with store.write() as tx:
            in_doubt.expire_leases(tx)
            in_doubt.due_for_check(tx, 10)
            in_doubt.recipient_history(tx, "user-1", clock.now)
            queue.is_sending(tx, ["r"])
            queue.hold_unrouted(tx, ["r"])
            queue.reset_far_future(tx)
            circuits.get(tx, "route:r")
            for fresh in (True, False):
                queue.claim(
                    tx, ["r", "s"], is_fresh=fresh, limit=10, lease=SECOND, token="t"
                )

    plans = plans_of(store, tick)
    scans = [one for one in plans if one.startswith("SCAN deliveries")]
    assert scans == []
    assert any("deliveries_queue" in one for one in plans)
    assert any("deliveries_recipient" in one for one in plans)


def test_storing_a_webhook_and_its_repeat_scans_no_table(store: Store) -> None:
    one = new_event(new_delivery(), transport_key="sha256:a", is_hashed=True)
    again = new_event(new_delivery(), transport_key="sha256:a", is_hashed=True)

    def store_both() -> None:
        add(store, one)
        add(store, again)
        add(store, new_event(new_delivery()))

    plans = plans_of(store, store_both)
    tables = ("events", "deliveries", "keys", "attempts")
    assert [
        one for one in plans if one.startswith(tuple(map("SCAN ".__add__, tables)))
    ] == []


def plans_of_list(store: Store, **wanted: Any) -> list[str]:
    def act() -> None:
        with store.read() as tx:
            deliveries.list(tx, DeliveryFilter(**wanted))

    return plans_of(store, act)


@pytest.mark.parametrize("status", [*ACTIVE, *FAILED])
def test_a_list_of_what_waits_or_failed_reads_nothing_else(
    store: Store, status: str
) -> None:
    found = plans_of_list(store, status=DeliveryStatus(status))
    assert any("deliveries_queue" in one or "_failed" in one for one in found)
    assert [one for one in found if one == "SCAN deliveries"] == []


def test_a_search_that_finds_nothing_looks_into_each_index_and_walks_over_no_table(
    store: Store, fill: Callable[..., list[str]]
) -> None:
    fill(1)
    found = plans_of_list(store, search="nobody")
    names = ("recipient", "customer", "code", "campaign", "key")
    missing = [
        name for name in names if not any(f"deliveries_{name} " in one for one in found)
    ]
    assert missing == []
    assert [one for one in found if one.startswith("SCAN")] == []


def test_counts_read_covering_indexes(store: Store) -> None:
    def act() -> None:
        stats.collect(store, timedelta(hours=24))
        with store.read() as tx:
            deliveries.count_due(tx)
            deliveries.oldest_due_age(tx)

    found = [one for one in plans_of(store, act) if "deliveries" in one]
    assert any("COVERING INDEX deliveries_queue" in one for one in found)
    assert any("COVERING INDEX deliveries_failed" in one for one in found)
    assert [one for one in found if "INDEX" not in one] == []
