import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.model import Arrival, Capture, DeliveryStatus, EventStatus
from bridge.publications import Publication
from bridge.publications.reading import read
from bridge.reconcile import (
    Comparison,
    Finding,
    Found,
    Missing,
    Restorer,
    Window,
    compare,
    extras,
)
from bridge.store.tellings import Telling

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
WINDOW = Window(since=NOON - 24 * HOUR, until=NOON)


def publication(name: str = "pub_1", **changes: Any) -> Publication:
    values: dict[str, Any] = {
        "id": name,
        "published_at": NOON - HOUR,
        "customer_id": "cust_1",
        "names": ("crm-1",),
        "voucher_ids": ("v_1",),
        "codes": ("A",),
    }
    return Publication(**(values | changes))


def telling(key: str, *codes: str, **changes: Any) -> Telling:
    values: dict[str, Any] = {
        "id": f"d-{key}",
        "event_id": f"e-{key}",
        "key": key,
        "codes": codes,
        "customer_id": "cust_1",
        "recipient": "crm-1",
        "status": DeliveryStatus.ACCEPTED,
        "created_at": NOON - HOUR,
    }
    return Telling(**(values | changes))


def stands(one: Publication, *tellings: Telling) -> Finding:
    compared = compare([one], tellings, WINDOW)
    return compared.settled[0].finding if compared.settled else Finding.MISSING


def unlisted(*tellings: Telling, published: datetime | None = None) -> list[Found]:
    compared: Comparison = compare([publication()], tellings, WINDOW)
    moments = {one.event_id: published for one in tellings}
    return list(extras(compared.unlisted, moments, WINDOW))


@pytest.mark.parametrize(
    ("heard", "finding"),
    [
        ([], Finding.MISSING),
        ([telling("pub:pub_1:v_1")], Finding.TOLD),
        ([telling("pub:pub_1:*")], Finding.TOLD),
        ([telling("pub:pub_2:v_1")], Finding.MISSING),
        ([telling("rewarded:r_1:a_1", "A")], Finding.TOLD),
        ([telling("rewarded:r_1:a_1", "B")], Finding.MISSING),
        ([telling("raw:0", "A", customer_id=None)], Finding.TOLD),
        ([telling("raw:0", "A", customer_id=None, recipient="x")], Finding.MISSING),
        ([telling("vtx:vtx_1", "A")], Finding.MISSING),
        ([telling("points:e:r:v_1", "A")], Finding.MISSING),
        ([telling("raw:0", "A", created_at=NOON - 48 * HOUR)], Finding.MISSING),
        ([telling("pub:pub_1:v_1", created_at=NOON + 2 * HOUR)], Finding.LATE),
    ],
    ids=[
        "nothing",
        "its voucher",
        "all of it",
        "another publication",
        "its code as a reward",
        "another code",
        "its code in a raw body",
        "for somebody else",
        "a movement on the card",
        "points on the card",
        "long before",
        "hours later",
    ],
)
def test_a_publication_stands(heard: list[Telling], finding: Finding) -> None:
    assert stands(publication(customer_id="cust_1"), *heard) is finding


def test_a_code_published_again_next_week_is_a_reward_of_its_own() -> None:
    first = publication("pub_1", published_at=NOON - 23 * HOUR)
    again = publication("pub_2", published_at=NOON - HOUR)
    near = [telling("pub:pub_2:v_1", "A")]
    assert not compare([first, again], near, WINDOW).missing
    far = [telling("pub:pub_2:v_1", "A", created_at=NOON + 10 * HOUR)]
    missing = compare([first, again], far, WINDOW).missing
    assert [one.publication.id for one in missing] == ["pub_1"]


@pytest.mark.parametrize(
    ("changes", "finding"),
    [
        ({"failure": "pool empty", "voucher_ids": ()}, Finding.FAILED),
        ({"voucher_ids": ()}, Finding.UNUSABLE),
        ({"published_at": None}, Finding.UNUSABLE),
        ({"id": None}, Finding.UNUSABLE),
    ],
)
def test_what_gave_nothing_is_named(changes: dict[str, Any], finding: Finding) -> None:
    assert stands(publication(**changes)) is finding


def test_beyond_the_window_nothing_is_named() -> None:
    before = publication("pub_1", published_at=NOON - 25 * HOUR)
    after = publication("pub_2", published_at=NOON + HOUR)
    heard = [telling("pub:pub_1:v_1"), telling("pub:pub_2:v_1")]
    compared = compare([after, before], heard, WINDOW)
    assert compared == Comparison(settled=(), missing=(), unlisted={})


def test_a_delivery_of_an_unlisted_publication_is_extra() -> None:
    heard = [telling("pub:pub_9:v_1", "X"), telling("pub:pub_9:v_2", "Y")]
    found = unlisted(*heard, published=NOON - 2 * HOUR)
    assert [(one.publication_id, one.codes) for one in found] == [("pub_9", ("X", "Y"))]
    assert unlisted(*heard, published=NOON - 30 * HOUR) == []
    assert unlisted(*heard) != []
    assert unlisted(telling("rewarded:r:a")) == []
    assert unlisted(telling("pub:pub_9:v", created_at=NOON + 26 * HOUR)) == []


def listed(**changes: Any) -> dict[str, Any]:
    plain = {
        "id": "pub_1",
        "created_at": "2026-08-21T11:00:00.000Z",
        "customer": {"id": "cust_1", "source_id": "crm-1"},
        "vouchers_id": ["v_1"],
        "voucher": {"code": "A", "campaign": "C", "gift": {"balance": 100}},
    }
    return plain | changes


def missing(**changes: Any) -> Missing:
    known = changes.pop("known", {})
    one = read(listed(**changes))
    return Missing(publication=one, known=known, deliveries=())


def deciding(*wanted: str) -> Callable[[Capture], Arrival]:
    """Want these events and no other."""

    def decide(capture: Capture) -> Arrival:
        event = json.loads(capture.body)["type"]
        is_wanted = event in wanted
        return Arrival(
            id="e",
            capture=capture,
            transport_key="k",
            is_hashed=False,
            kind="unknown",
            event_type=event,
            status=EventStatus.STORED if is_wanted else EventStatus.IGNORED,
        )

    return decide


def restored(one: Missing, *wanted: str, whole: Any = None) -> dict[str, Any]:
    made = Restorer(deciding(*wanted), lambda _: whole).restore(one)
    assert isinstance(made, Capture)
    document: dict[str, Any] = json.loads(made.body)
    return document


@pytest.mark.parametrize(
    "event",
    ["publication.succeeded", "voucher.published", "customer.publication.succeeded"],
)
def test_the_event_is_the_one_a_route_waits_for(event: str) -> None:
    document = restored(missing(), event)
    assert document["event"]["type"] == event


def test_a_manual_distribution_is_tried_where_a_distribution_published() -> None:
    manual = "manual_distribution_schedule"
    by_distribution = {"source_type": "distribution"}
    document = restored(missing(metadata=by_distribution), manual)
    assert document["event"]["type"] == manual
    found = Restorer(deciding(manual), lambda _: None).restore(missing())
    assert isinstance(found, Found)
    assert found.finding is Finding.UNWANTED


def test_the_whole_voucher_wins_over_what_the_list_shows() -> None:
    whole = {"id": "other", "code": "A", "type": "GIFT_VOUCHER", "campaign_id": "camp"}
    data = restored(missing(), "voucher.published", whole=whole)["data"]
    assert data["voucher"]["id"] == "v_1"
    assert data["campaign"] == {"id": "camp", "name": "C", "object": "campaign"}
    assert data["publication"]["vouchers_id"] == ["v_1"]


def test_what_the_list_shows_has_to_do_where_the_voucher_cannot_be_seen() -> None:
    voucher = restored(missing(), "voucher.published")["data"]["voucher"]
    assert (voucher["id"], voucher["type"]) == ("v_1", "GIFT_VOUCHER")


def test_codes_are_paired_with_the_ids_nobody_has_told() -> None:
    """In the list the ids stand in one order and the codes in another."""
    one = missing(
        voucher=None,
        vouchers_id=["v_1", "v_2", "v_3"],
        vouchers=["C", "B", "A"],
        known={"v_1": "A"},
    )
    vouchers = restored(one, "publication.succeeded")["data"]["vouchers"]
    pairs = {voucher["id"]: voucher["code"] for voucher in vouchers}
    assert pairs["v_1"] == "A"
    assert set(pairs.values()) == {"A", "B", "C"}


def test_vouchers_nobody_can_see_are_not_called_unwanted() -> None:
    one = missing(voucher=None, vouchers_id=["v_1", "v_2"], vouchers=["A", "B"])
    found = Restorer(deciding(), lambda _: None).restore(one)
    assert isinstance(found, Found)
    assert found.finding is Finding.UNUSABLE
