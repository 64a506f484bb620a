"""How SQLite does what is asked often: by its indexes, whatever else is stored."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from bridge.model import Claim, DeliveryStatus, Lane
from bridge.store import DeliveryFilter, Store, catalogue, new_id
from bridge.store.schema import MOVING, TROUBLED

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
Claiming = Callable[..., list[Claim]]
SECOND = timedelta(seconds=1)


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bridge.db'}"


def steps_of_a_claim(store: Store, *routes: str) -> int:
    """Count the steps of SQLite's machine while it claims; time would be a guess."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with store.write() as tx:
        driver: Any = tx.connection.connection.driver_connection
        driver.set_progress_handler(count, 1)
        store.queue.claim(tx, routes, Lane.FRESH, 10, SECOND, new_id())
        driver.set_progress_handler(None, 0)
    return steps


def test_fifty_thousand_deliveries_at_a_closed_gate_slow_no_claim(
    store: Store, fill: Made, claim: Claiming
) -> None:
    [template] = fill(1, route="closed")
    fill(10, route="open")
    claim("open")
    fill(10, route="open")
    before = steps_of_a_claim(store, "open", "other")
    fill(10, route="open")
    with store.write() as tx:
        copy_rows(tx.connection, template, 50_000)
    assert store.ledger.health().depth == 50_011
    assert steps_of_a_claim(store, "open", "other") <= before * 1.1


def copy_rows(connection: Any, template: str, count: int) -> None:
    connection.execute(
        text(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
            "WHERE i < :count) INSERT INTO deliveries (id, event_id, route, endpoint, "
            "key, recipient, code, due_at, aging_since, created_at, updated_at) "
            "SELECT randomblob(16), event_id, route, endpoint, key, recipient, code, "
            "due_at - i, aging_since, created_at, updated_at FROM deliveries, n "
            "WHERE deliveries.id = :template"
        ),
        {"count": count, "template": bytes.fromhex(template.replace("-", ""))},
    )


def plans_of(
    store: Store, act: Callable[[], object], table: str = "deliveries"
) -> list[str]:
    """Ask SQLite how it does each statement about a table that an action runs."""
    said: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, *said_now: Any) -> None:
        said.append((said_now[0], said_now[1]))

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
            plans += [line[3] for line in explained if table in line[3]]
    return plans


def test_claims_and_leases_seek_in_the_queue_s_index(store: Store, fill: Made) -> None:
    fill(1)

    def a_round() -> None:
        with store.write() as tx:
            store.queue.expire_leases(tx)
            store.queue.doubtful(tx, 10)
            store.queue.hold_orphans(tx, ["r"])
            store.queue.claim(tx, ["r", "s"], Lane.FRESH, 10, SECOND, new_id())

    plans = plans_of(store, a_round)
    assert plans
    assert [plan for plan in plans if plan.startswith("SCAN deliveries")] == []
    assert all("INDEX" in plan for plan in plans)


@pytest.mark.parametrize("status", [*MOVING, *TROUBLED])
def test_listing_what_waits_or_needs_somebody_reads_nothing_else(
    store: Store, status: str
) -> None:
    wanted = DeliveryFilter(status=DeliveryStatus(status))
    plans = plans_of(store, lambda: store.ledger.deliveries(wanted))
    assert any("deliveries_queue" in one or "_troubled" in one for one in plans)


def test_health_reads_indexes_only(store: Store) -> None:
    plans = plans_of(store, store.ledger.health)
    assert any("COVERING INDEX deliveries_queue" in one for one in plans)
    assert any("COVERING INDEX deliveries_troubled" in one for one in plans)


def test_a_search_looks_into_each_part_of_the_catalogue_and_walks_over_none(
    store: Store, clock: Any, fill: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "PART", 2)
    monkeypatch.setattr(catalogue, "STEP", 2)
    fill(6)
    clock.now = datetime.now(UTC) + timedelta(minutes=5)
    while store.ledger.note_words(timedelta(0)):
        pass
    plans = plans_of(
        store,
        lambda: store.ledger.deliveries(DeliveryFilter(search="NOBODY")),
        "catalogue USING",
    )
    assert [one for one in plans if "part=? AND word>? AND word<?" not in one] == []
    assert plans
