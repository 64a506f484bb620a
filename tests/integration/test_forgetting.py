"""A person taken out of a ledger, and what stands in the way."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from bridge.config import Condition, Lookup, Route
from bridge.forgetting import Finder, Forgetting, Report
from bridge.model import (
    Arrival,
    Capture,
    Cause,
    Claim,
    DeliveryStatus,
    EventStatus,
    Match,
    NewDelivery,
    News,
)
from bridge.model import Report as Reported
from bridge.store import Action, By, DeliveryFilter, Store, Story, catalogue
from bridge.store.schema import catalogue as words
from tests.postgres import locks_awaited

pytestmark = pytest.mark.integration

ANA = {"id": "cust_Ana", "source_id": "ana-1", "email": "Ana@shop.example"}
LEO = {"id": "cust_Leo", "source_id": "leo-1", "email": "leo@shop.example"}
LAST_ID = "ffffffff-ffff-ffff-ffff-ffffffffffff"
Came = Callable[..., NewDelivery]


@pytest.fixture
def came(
    store: Store, new_arrival: Callable[..., Arrival], new_delivery: Came
) -> Callable[..., NewDelivery]:
    """Store one webhook about customers, with a delivery to the first of them."""

    def stored(*customers: dict[str, str], key: str = "pub:1", **more: Any) -> Any:
        body = json.dumps({"customers": customers}).encode()
        first = customers[0]
        values = {"recipient": first["source_id"], "customer_id": first["id"]}
        delivery = new_delivery(key, **(values | more))
        store.commits.add(new_arrival(delivery, capture=Capture(body=body)))
        return delivery

    return stored


@pytest.fixture
def forget(store: Store) -> Callable[..., Report]:
    def forgotten(name: str, *routes: Route) -> Report:
        forgetting = Forgetting(store, lambda _: None)
        findings = Finder(store, routes).find(name)
        plan = forgetting.plan(findings)
        done = forgetting.forget(findings)
        assert done == plan, "the plan says what will be done"
        return done

    return forgotten


@pytest.fixture
def story(store: Store) -> Callable[[NewDelivery], Story]:
    def told(delivery: NewDelivery) -> Story:
        found = store.ledger.story(delivery.id)
        assert found is not None
        return found

    return told


def test_nothing_of_the_person_stays_in_a_file_while_others_have_it_open(
    came: Came,
    forget: Callable[..., Report],
    another_store: Callable[[], Store],
    tmp_path: Path,
) -> None:
    came(ANA)
    another_store().ping()
    forget("ana-1")
    for path in tmp_path.glob("bridge.db*"):
        assert b"ana-1" not in path.read_bytes(), path.name


@pytest.mark.parametrize("name", ["ana-1", "ana@shop.example", "ANA@shop.example"])
def test_by_source_id_or_address_the_same_is_forgotten(
    name: str,
    came: Came,
    forget: Callable[..., Report],
    story: Callable[[NewDelivery], Story],
) -> None:
    hers, his = came(ANA), came(LEO, key="pub:2")
    report = forget(name)
    assert report == Report(webhooks=1, deliveries=1, waiting=1, keys=1)
    told = story(hers)
    assert told.event.capture == Capture(body=b"")
    row = told.delivery
    assert (row.recipient, row.customer_id, row.code) == ("", None, "")
    assert row.status is DeliveryStatus.SUPPRESSED
    assert row.due_at is None
    assert row.reason == "forgotten at the person's request"
    assert "pub:1" not in row.key
    assert story(his).delivery.recipient == "leo-1"
    assert forget(name) == Report()


def test_what_is_known_by_customer_id_alone_is_found_too(
    came: Came, forget: Callable[..., Report]
) -> None:
    came({"id": "cust_Ana", "source_id": ""}, key="pub:2")
    came(ANA)
    assert forget("ana-1").deliveries == 2


def test_an_address_shared_with_somebody_else_finds_only_what_was_asked_for(
    came: Came, forget: Callable[..., Report]
) -> None:
    came(ANA)
    came(LEO | {"email": ANA["email"]}, key="pub:2")
    assert forget("ana-1").deliveries == 1
    assert forget("ana@shop.example").deliveries == 1


def test_a_look_up_file_leads_to_the_name_that_iterable_knows(
    came: Came, forget: Callable[..., Report]
) -> None:
    table = Lookup(path=Path("people.csv"), table={"ana-1": "iterable-7"})
    route = Route(
        name="r",
        formerly=(),
        when=Condition(),
        recipient=(table,),
        per="voucher",
        endpoint="email/target",
        campaign_id=1,
        template="t",
        in_doubt="verify",
    )
    came(ANA, recipient="iterable-7", customer_id=None)
    assert forget("ana-1", route).deliveries == 1


def test_what_is_being_sent_is_left_for_the_next_time(
    came: Came, claim: Callable[..., list[Claim]], forget: Callable[..., Report]
) -> None:
    came(ANA)
    claim("r")
    assert forget("ana-1") == Report(being_sent=1)


def test_a_webhook_that_somebody_else_still_needs_is_kept_until_then(
    came: Came,
    forget: Callable[..., Report],
    story: Callable[[NewDelivery], Story],
) -> None:
    his = came(LEO, ANA)
    assert forget("ana-1") == Report(needed=1)
    assert story(his).event.capture.body != b""
    assert forget("leo-1").waiting == 1
    assert story(his).event.capture.body == b""


def test_a_parked_event_that_names_the_person_waits_no_longer(
    store: Store, new_arrival: Callable[..., Arrival], forget: Callable[..., Report]
) -> None:
    body = b"no JSON, but about ana-123."
    parked = new_arrival(
        status=EventStatus.PARKED, capture=Capture(body=body), waits_for="pub:1:*"
    )
    store.commits.add(parked)
    assert forget("ana-12") == Report()
    assert forget("ana-123") == Report(webhooks=1)
    event = store.ledger.event(parked.id)
    assert event is not None
    assert event.status is EventStatus.IGNORED
    assert event.capture.body == b""


@pytest.fixture
def again(
    another_store: Callable[[], Store],
    new_arrival: Callable[..., Arrival],
    new_delivery: Came,
) -> Callable[..., Any]:
    """Tell the reward `pub:1` once more, to another process, by another webhook."""
    other = another_store()
    return lambda **more: other.commits.add(new_arrival(new_delivery("pub:1", **more)))


@pytest.mark.parametrize(
    "names", [{}, {"route": "new", "route_names": ("new", "r")}], ids=["same", "new"]
)
def test_what_was_told_before_is_not_told_again_for_as_long_as_the_key_holds(
    names: dict[str, Any],
    came: Came,
    forget: Callable[..., Report],
    again: Callable[..., Any],
    tick: Callable[..., datetime],
) -> None:
    first = came(ANA)
    forget("ana-1")
    tick(days=29)
    repeated = again(**names)
    assert repeated.status is EventStatus.DUPLICATE
    assert repeated.deliveries == (first.id,)


def test_the_hash_of_a_key_holds_no_longer_than_the_key(
    came: Came,
    forget: Callable[..., Report],
    again: Callable[..., Any],
    tick: Callable[..., datetime],
) -> None:
    came(ANA)
    forget("ana-1")
    tick(days=30)
    assert again().status is EventStatus.STORED


def test_no_key_is_left_in_plain_words(
    store: Store, came: Came, forget: Callable[..., Report]
) -> None:
    came(ANA)
    forget("ana-1")
    with store.read() as tx:
        kept = tx.connection.exec_driver_sql("SELECT route, key FROM keys").all()
    assert [one.route for one in kept] == [""]
    assert "pub" not in kept[0].key


def test_what_iterable_reported_of_the_person_is_removed(
    store: Store, came: Came, forget: Callable[..., Report]
) -> None:
    hers = came(ANA)
    with store.write() as tx:
        for number, (delivery_id, email) in enumerate(
            [(hers.id, None), (None, "ana@shop.example"), (None, "leo@shop.example")]
        ):
            reported = Reported(
                identity=f"m{number}:emailSend",
                event_name="emailSend",
                news=News.SENT,
                reason=None,
                message_id=f"m{number}",
                campaign_id=1,
                occurred_at=None,
                email=email,
            )
            match = None if delivery_id is None else Match.BRIDGE_ID
            assert store.reports.keep(tx, reported, delivery_id, match)
    assert forget("ana-1").reports == 2
    left, count = store.ledger.unmatched(9, None)
    assert ([one.message_id for one in left], count) == (["m2"], 1)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_who_is_forgotten_while_words_are_noted_is_in_none_of_them(
    clock: Any,
    another_store: Callable[[], Store],
    came: Came,
    forget: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[..., None],
) -> None:
    monkeypatch.setattr(catalogue, "STEP", 1)
    noting, onlooker = another_store(), another_store()
    came(LEO)
    clock.now = datetime.now(UTC) + timedelta(minutes=5)
    noting.ledger.note_words(timedelta(0))
    came(ANA, key="pub:2")
    with ThreadPoolExecutor(1) as pool:
        with noting.write() as tx:
            assert catalogue.note(tx, LAST_ID)
            forgotten = pool.submit(forget, "ana-1")
            eventually(lambda: forgotten.done() or locks_awaited(onlooker))
        assert forgotten.result().deliveries == 1
    with onlooker.read() as tx:
        left = set(tx.connection.execute(select(words.c.word)).scalars())
    assert {one for one in left if b"leo" in one}
    assert not {one for one in left if b"ana" in one}


def test_nothing_finds_the_person_and_no_word_about_them_is_left(
    store: Store,
    clock: Any,
    came: Came,
    forget: Callable[..., Report],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalogue, "PART", 1)
    monkeypatch.setattr(catalogue, "STEP", 1)
    hers, his = came(ANA), came(LEO, key="pub:2")
    clock.now = datetime.now(UTC) + timedelta(minutes=5)
    while store.ledger.note_words(timedelta(0)):
        pass
    with store.write() as tx:
        store.queue.hold_orphans(tx, [])
        store.ledger.resolve(
            tx, hers.id, Cause.RESOLVED_SENT, "Ana called", by=By.CONSOLE
        )
        for name in ("ana-1", "leo-1"):
            wanted = DeliveryFilter(search=name)
            store.ledger.begin_bulk(tx, Action.REDELIVER, wanted, 1, None)
    forget("ana-1")
    assert store.ledger.deliveries(DeliveryFilter(search="ana-1")) == []
    assert [
        one.id for one in store.ledger.deliveries(DeliveryFilter(search="leo"))
    ] == [his.id]
    with store.read() as tx:
        left = [bytes(word) for (word,) in tx.connection.execute(select(words.c.word))]
        runs = store.ledger.bulks(tx)
    assert not any(b"ana" in word.lower() for word in left)
    assert [(one.filter.search, one.ended_at is None) for one in runs] == [
        ("leo-1", True),
        (None, False),
    ]
    told = store.ledger.story(hers.id)
    assert told is not None
    assert [one.reason for one in told.deeds] == [None]
