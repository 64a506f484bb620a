"""Lists, searches, details and counts of deliveries."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.model import (
    DeliveryFilter,
    DeliveryStatus,
)
from bridge.store import (
    Store,
    deliveries,
    events,
    jobs,
)
from bridge.store import deliveries as module
from bridge.store.ingest import ingest
from tests.store.conftest import new_delivery, new_event

pytestmark = pytest.mark.integration

Fill = Callable[..., list[str]]
Tick = Callable[..., datetime]
Bring = Callable[..., str]
Status = DeliveryStatus

NOBODY = "01a1fd9e-5ab9-753e-9686-37bcf741f509"


def found(store: Store, **wanted: Any) -> list[str]:
    with store.read() as tx:
        return [one.id for one in deliveries.list(tx, DeliveryFilter(**wanted))]


def due(store: Store) -> tuple[int, timedelta | None]:
    with store.read() as tx:
        return deliveries.count_due(tx), deliveries.oldest_due_age(tx)


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three rows be too many to be sorted."""
    monkeypatch.setattr(module, "_FEW", 2)


def test_deliveries_are_listed_newest_first_in_pages(store: Store, fill: Fill) -> None:
    expected = fill(5)[::-1]
    assert found(store) == expected
    assert found(store, limit=2) == expected[:2]
    assert found(store, limit=2, after=expected[1]) == expected[2:4]


def test_deliveries_are_listed_by_status_route_and_time(
    store: Store, fill: Fill, clock: Any, tick: Tick, bring: Bring
) -> None:
    clock.now = datetime.now(UTC)
    held = bring(Status.HELD, route="a")
    since = tick(hours=1)
    [waiting] = fill(1, route="b")
    assert found(store, status=Status.HELD) == [held]
    assert found(store, status=Status.HELD, route="a") == [held]
    assert found(store, status=Status.HELD, route="b") == []
    assert found(store, route="b") == [waiting]
    assert found(store, since=since) == [waiting]
    assert found(store, before=since) == [held]


TERMS = ["u-77", "u-", "SECOND-2", "SEC", "FIRST-1", "Welcome 5", "cust_77", "pub_77"]


@pytest.mark.parametrize("term", [*TERMS, "pub:pub_77:v_1", "whs_77"])
def test_a_search_finds_what_a_person_knows(
    store: Store, fill: Fill, term: str
) -> None:
    fill(1, campaign=None, customer_id=None)
    one = new_delivery(
        "pub:pub_77:v_1",
        recipient="u-77",
        codes=("FIRST-1", "SECOND-2"),
        campaign="Welcome 50%",
        customer_id="cust_77",
    )
    with store.write() as tx:
        ingest(tx, [(new_event(one, transport_key="whs_77"), None)])
    fill(1)
    assert found(store, search=term) == [one.id]


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize("term", ["user-1", "CODE", "Welcome", "cust_1", "pub:"])
def test_a_search_that_fits_many_goes_on_page_by_page(
    store: Store, fill: Fill, term: str
) -> None:
    expected = fill(7)[::-1]

    def pages() -> Iterator[list[str]]:
        after = None
        while page := found(store, search=term, limit=3, after=after):
            yield page
            after = page[-1]

    assert [one for page in pages() for one in page] == expected


@pytest.mark.parametrize(
    "term", ["%", "_", "user-1'", "code-", "\ud800", "\0", NOBODY, "0" * 40]
)
def test_a_search_for_nonsense_finds_nothing(
    store: Store, fill: Fill, term: str
) -> None:
    fill(2)
    assert found(store, search=term) == []


@pytest.mark.parametrize("text", ["", "nonsense", "0" * 36, "\ud800", NOBODY])
def test_the_id_of_nothing_finds_nothing(store: Store, text: str) -> None:
    with store.read() as tx:
        assert deliveries.detail(tx, text) is None
        assert deliveries.statuses(tx, [text]) == {}
        assert deliveries.of_event(tx, text) == []
        assert events.get(tx, text) is None
        assert jobs.find(tx, text) is None


def test_in_an_empty_store_nothing_is_due(store: Store) -> None:
    assert due(store) == (0, None)


def test_what_is_due_now_is_counted_and_the_oldest_is_found(
    store: Store, fill: Fill, tick: Tick, bring: Bring
) -> None:
    for status in (Status.HELD, Status.DEAD, Status.PENDING, Status.ACCEPTED):
        bring(status)
    fill(2)
    tick(seconds=90)
    # The retried one is due in an hour.
    assert due(store) == (2, timedelta(seconds=90))
