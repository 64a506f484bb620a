"""Searches and filters on a ledger that is partly in the catalogue."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import select

from bridge import cataloguing
from bridge.errors import StoreUnavailable
from bridge.model import DeliveryStatus, Lane
from bridge.store import By, DeliveryFilter, Store, catalogue, schema

pytestmark = pytest.mark.integration

Made = Callable[..., Any]
#: Deliveries of one part here, instead of a thousand; noted at once, instead of fifty.
PART, STEP = 4, 2
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make parts of few deliveries."""
    monkeypatch.setattr(catalogue, "PART", PART)
    monkeypatch.setattr(catalogue, "STEP", STEP)


@pytest.fixture
def noted(store: Store, clock: Any, fill: Made) -> list[str]:
    """Thirteen deliveries, the last in no part, three parts full; the newest last."""
    numbers = count()
    ids = [
        fill(1, codes=(f"CODE-{n:03}",), recipient=f"crm-{n % 2}", campaign="Load")[0]
        for n in (next(numbers) for _ in range(13))
    ]
    # Ids are made by the host's clock, and only old ones are noted.
    clock.now = datetime.now(UTC) + timedelta(minutes=5)
    while store.ledger.note_words(timedelta(0)):
        pass
    return ids


def found(store: Store, **wanted: Any) -> list[str]:
    return [one.id for one in store.ledger.deliveries(DeliveryFilter(**wanted))]


@pytest.mark.parametrize("number", [0, 1, 3, 4, 8, 11, 12])
def test_a_code_is_found_in_each_part_and_behind_the_last(
    store: Store, noted: list[str], number: int
) -> None:
    assert found(store, search=f"CODE-{number:03}") == [noted[number]]


def test_a_beginning_finds_all_newest_first(store: Store, noted: list[str]) -> None:
    assert found(store, search="CODE-") == noted[::-1]
    assert found(store, search="code-") == []


def test_a_search_goes_on_page_by_page(store: Store, noted: list[str]) -> None:
    def pages() -> Iterator[list[str]]:
        after = None
        while page := found(store, search="Load", limit=4, after=after):
            yield page
            after = page[-1]

    assert [one for page in pages() for one in page] == noted[::-1]


def test_a_search_keeps_to_the_filters(store: Store, noted: list[str]) -> None:
    with store.write() as tx:
        claims = store.queue.claim(tx, ["r"], Lane.FRESH, 2, timedelta(hours=1), "t")
    sending = sorted((one.delivery_id for one in claims), reverse=True)
    status = DeliveryStatus.SENDING
    assert found(store, search="Load", status=status) == sending
    assert found(store, search="Load", status=DeliveryStatus.DEAD) == []
    assert found(store, search="Load", route="nowhere") == []
    assert found(store, search="crm-1", route="r") == noted[11::-2]


def test_further_codes_are_found(store: Store, fill: Made, noted: list[str]) -> None:
    several = fill(5, codes=("ONE", "TWO"))
    store.ledger.note_words(timedelta(0))
    store.ledger.note_words(timedelta(0))
    assert found(store, search="TWO") == several[::-1]
    assert found(store, search="CODE-000") == noted[:1]


def test_a_publications_id_finds_its_keys(
    store: Store, new_delivery: Made, new_arrival: Made, noted: list[str]
) -> None:
    one = new_delivery("pub:pub_77:v_1")
    store.commits.add(new_arrival(one))
    assert found(store, search="pub_77") == [one.id]
    assert one.id not in noted


def test_a_webhooks_id_finds_what_it_made(store: Store, noted: list[str]) -> None:
    story = store.ledger.story(noted[3])
    assert story is not None
    assert story.event.transport_key is not None
    assert found(store, search=story.event.transport_key) == [noted[3]]


def test_settled_ones_are_listed_by_state_and_route(
    store: Store, noted: list[str]
) -> None:
    with store.write() as tx:
        store.queue.hold_orphans(tx, [])
        store.ledger.redeliver(tx, noted[:1], by=By.SHELL)
    held = noted[:0:-1]
    assert found(store, status=DeliveryStatus.HELD) == held
    assert found(store, status=DeliveryStatus.HELD, route="r", limit=3) == held[:3]
    assert found(store, route="r") == noted[::-1]
    assert found(store, status=DeliveryStatus.ACCEPTED) == []


def test_the_first_and_the_last_moment_there_are_can_be_asked_for(
    store: Store, noted: list[str]
) -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert found(store, since=first, before=last) == noted[::-1]
    assert found(store, before=first) == []
    assert found(store, since=last) == []


def parts(store: Store) -> dict[int, list[str]]:
    """Read which deliveries each part has, in order."""
    words = schema.catalogue
    entries = select(words.c.part, words.c.delivery_id).distinct()
    made: dict[int, list[str]] = {}
    with store.read() as tx:
        for part, one in sorted(map(tuple, tx.connection.execute(entries))):
            made.setdefault(part, []).append(one)
    return made


def test_a_part_grows_until_it_is_full(
    store: Store, fill: Made, noted: list[str]
) -> None:
    further = fill(2)
    assert parts(store) == {1: noted[:4], 2: noted[4:8], 3: noted[8:12]}
    store.ledger.note_words(timedelta(0))
    assert parts(store)[4] == [noted[12], further[0]]
    further += fill(1)
    store.ledger.note_words(timedelta(0))
    assert parts(store)[4] == [noted[12], *further]


def note_again(store: Store) -> bool:
    """Note as somebody does who found it due when others did."""
    with store.write() as tx:
        return catalogue.note(tx, LAST_ID)


def test_two_who_note_at_once_note_once(
    store: Store, fill: Made, noted: list[str]
) -> None:
    further = fill(3)
    assert [note_again(store) for _ in range(3)] == [True, True, False]
    assert parts(store)[4] == [noted[12], *further]


def test_several_who_note_all_the_time_note_each_delivery_once(
    store: Store, clock: Any, fill: Made
) -> None:
    ids = fill(60)
    clock.now = datetime.now(UTC) + timedelta(minutes=5)

    def note() -> None:
        for _ in range(60):
            with suppress(StoreUnavailable):
                store.ledger.note_words(timedelta(0))

    several = [Thread(target=note) for _ in range(3)]
    for one in several:
        one.start()
    for one in several:
        one.join(60)
    made = parts(store)
    assert [one for part in made.values() for one in part] == ids
    assert {len(part) for part in made.values()} == {PART}


def test_noting_goes_on_beside_the_deliveries_and_ends_with_them(
    store: Store,
    clock: Any,
    fill: Made,
    eventually: Callable[..., None],
) -> None:
    ids = fill(10)
    clock.now = datetime.now(UTC) + timedelta(minutes=5)
    stop = Event()
    thread = cataloguing.start(store.ledger, stop)

    def is_noted() -> bool:
        with store.read() as tx:
            return bool(catalogue.end(tx) == ids[-1])

    eventually(is_noted)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()


def test_a_glance_counts_the_last_day(store: Store, clock: Any, fill: Made) -> None:
    clock.now = datetime.now(UTC)
    fill(3)
    with store.write() as tx:
        store.queue.hold_orphans(tx, [])
    fill(2, route="other")
    seen = store.ledger.glance()
    assert sum(sum(hour.settled.values()) for hour in seen.hours) == 3
    assert sum(hour.moving for hour in seen.hours) == 2
    assert len(seen.hours) == 24
