"""What Iterable's system webhooks say of a message, at `/webhooks/iterable`."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.product.program import (
    ROUTE,
    Program,
    installed,
    new_person,
    wait_for,
    webhook,
)
from tests.product.recorder import Answer

WORD, NEXT_WORD = "iterable-webhook-secret-1", "iterable-webhook-secret-2"
PATH = "/webhooks/iterable"
#: A route of their own for tests that stop it.
ROUTES = [
    {"name": "fragile", **ROUTE, "match": {"campaigns": ["Fragile"]}},
    {
        "name": "doubtful",
        **ROUTE,
        "match": {"campaigns": ["Doubtful"]},
        "on_unknown_outcome": "hold",
    },
    {"name": "all", **ROUTE},
]


@pytest.fixture(scope="module")
def confirmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running installation that knows Iterable's secret."""
    folder = tmp_path_factory.mktemp("receipts")
    with installed(folder, routes=ROUTES) as program:
        program.env["ITERABLE_WEBHOOK_SECRET"] = f"{NEXT_WORD},{WORD}"
        program.start()
        yield program


def receipt(
    event: str = "emailSend", *, bridge_id: str = "", **fields: Any
) -> dict[str, Any]:
    """Make a system webhook about a message of the bridge's, or of somebody else."""
    data: dict[str, Any] = {"messageId": f"m-{new_person()}", "campaignId": 1, **fields}
    if bridge_id:
        data["transactionalData"] = {"bridgeId": bridge_id}
    address = f"{new_person()}@shop.example"
    return {"eventName": event, "email": address, "dataFields": data}


def tell(program: Program, document: Any, **headers: str) -> requests.Response:
    """Post a system webhook, with the secret unless headers are given."""
    shown = headers or {"X-Bridge-Secret": WORD}
    return program.post(document, PATH, headers=shown)


def sent(program: Program, **changes: Any) -> tuple[str, str]:
    """Deliver a message; give the ids of its delivery and in its payload."""
    person = new_person()
    [delivery_id] = program.accept(webhook(person, **changes))
    [message] = program.iterable.arrived(person)
    return delivery_id, str(message.fields["bridgeId"])


def test_a_message_reported_sent_is_confirmed(confirmed: Program) -> None:
    delivery_id, bridge_id = sent(confirmed)
    assert tell(confirmed, receipt(bridge_id=bridge_id)).status_code == 202
    assert confirmed.in_state(delivery_id, "confirmed")["attempts"] == 1


@pytest.mark.parametrize(
    ("event", "fields", "reason"),
    [
        ("emailSendSkip", {"reason": "FrequencyCapping"}, "FrequencyCapping"),
        ("emailBounce", {"recipientState": "HardBounce"}, "HardBounce"),
    ],
    ids=["skipped", "bounced"],
)
def test_a_message_that_did_not_arrive_is_undelivered_with_the_reason(
    confirmed: Program, event: str, fields: dict[str, str], reason: str
) -> None:
    delivery_id, bridge_id = sent(confirmed)
    if event == "emailBounce":
        tell(confirmed, receipt(bridge_id=bridge_id))
    tell(confirmed, receipt(event, bridge_id=bridge_id, **fields))
    ended = confirmed.in_state(delivery_id, "undelivered")
    assert reason in ended["reason"]
    shown = confirmed.run("deliveries", delivery_id)
    assert event in shown
    assert reason in shown


def test_a_receipt_settles_an_unknown_outcome(confirmed: Program) -> None:
    person = new_person()
    lost = Answer(status=500, body={}, is_taken=True)
    confirmed.iterable.tell(lost, person=person)
    held = confirmed.deliver(webhook(person, campaign="Doubtful"))
    assert held["status"] == "held"
    [message] = confirmed.iterable.messages(person)
    tell(confirmed, receipt(bridge_id=message.fields["bridgeId"]))
    confirmed.in_state(held["id"], "confirmed")


def test_what_would_be_skipped_again_stops_the_route_and_no_other(
    confirmed: Program,
) -> None:
    delivery_id, bridge_id = sent(confirmed, campaign="Fragile")
    skip = receipt("emailSendSkip", bridge_id=bridge_id, reason="CampaignDeactivated")
    tell(confirmed, skip)
    confirmed.in_state(delivery_id, "undelivered")
    wait_for(
        lambda: "fragile" in requests.get(f"{confirmed.url}/readyz", timeout=9).text
    )
    person = new_person()
    [waiting] = confirmed.accept(webhook(person, campaign="Fragile"))
    sent(confirmed)
    assert confirmed.delivery(waiting)["delivery"]["status"] == "pending"
    assert "activate" in confirmed.command("deliveries", "--limit", "1").stderr
    confirmed.run("resume", "fragile", "--yes")
    confirmed.iterable.arrived(person)


def test_what_fits_no_delivery_is_kept_and_listed_once(confirmed: Program) -> None:
    stray = receipt()
    for _ in range(2):
        assert tell(confirmed, stray).status_code == 202
    found = confirmed.rows("receipts", "--unmatched")
    ours = [
        one for one in found if one["message_id"] == stray["dataFields"]["messageId"]
    ]
    assert len(ours) == 1
    assert "@shop.example" not in json.dumps(found)
