"""One message per reward, however often and by whichever road it is told."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.program import ROOT, Program, envelope, wait_for

pytestmark = pytest.mark.e2e

FOLDER = ROOT / "samples" / "voucherify"


def sample(number: str) -> dict[str, Any]:
    document = json.loads(next(FOLDER.glob(f"{number}_*.json")).read_bytes())
    assert isinstance(document, dict)
    return document


def as_bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def settle(program: Program) -> None:
    """Wait until nothing is on its way any more."""
    wait_for(lambda: not set(program.statuses()) & {"pending", "sending", "in_doubt"})


def test_a_thousand_repeats_at_once_over_processes_are_one_delivery(
    program: Program,
) -> None:
    program.start("--processes", "3")
    body = envelope(1)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: program.post(body), range(1000)))
    assert {answer.status_code for answer in answers} == {202}
    statuses = [answer.json()["status"] for answer in answers]
    assert statuses.count("stored") == 1
    assert statuses.count("duplicate") == 999
    assert len({tuple(answer.json()["deliveries"]) for answer in answers}) == 1
    settle(program)
    assert len(program.accepted()) == 1


def test_two_events_of_one_publication_are_one_message(program: Program) -> None:
    program.start()
    first = sample("03")
    second = sample("03") | {"id": "whs_another", "type": "publication.succeeded"}
    second["event"] |= {"id": "evpub_another", "type": "publication.succeeded"}
    one, two = program.post(as_bytes(first)), program.post(as_bytes(second))
    assert (one.json()["status"], two.json()["status"]) == ("stored", "duplicate")
    assert two.json()["deliveries"] == one.json()["deliveries"]
    settle(program)
    assert len(program.accepted()) == 1


def test_a_rewarded_coupon_and_its_publication_are_one_message_a_route(
    program: Program,
) -> None:
    program.start()
    rewarded = sample("14")
    voucher = rewarded["data"]["reward"]["voucher"]
    customer = rewarded["data"]["reward"]["customer"]
    published = sample("03") | {"id": "whs_published"}
    published["data"] = {
        "customer": customer,
        "voucher": voucher,
        "campaign": {"id": voucher["campaign_id"], "name": voucher["campaign"]},
        "publication": {
            "id": "pub_thx",
            "customer_id": customer["id"],
            "vouchers_id": [voucher["id"]],
            "voucher": voucher,
        },
    }
    one, two = program.post(as_bytes(rewarded)), program.post(as_bytes(published))
    assert (one.json()["status"], two.json()["status"]) == ("stored", "duplicate")
    settle(program)
    (message,) = program.accepted()
    assert message.body["dataFields"]["couponCode"] == "THX-9vB30k"


def test_the_same_reward_on_another_route_is_another_message(program: Program) -> None:
    def route(name: str, event: str) -> dict[str, Any]:
        when = {"events": [event]}
        template = "triggered_email.json.j2"
        return {"name": name, "when": when, "campaign_id": 1, "template": template}

    program.configure(
        routes=[
            route("mail", "customer.publication.succeeded"),
            route("push", "publication.succeeded"),
        ]
    )
    program.start()
    second = sample("03") | {"id": "whs_another"}
    second["event"] |= {"type": "publication.succeeded"}
    for document in (sample("03"), second):
        assert program.post(as_bytes(document)).json()["status"] == "stored"
    settle(program)
    assert len(program.accepted()) == 2


def test_a_route_added_later_delivers_what_was_ignored(program: Program) -> None:
    program.route(when={"events": ["something.else"]})
    program.start()
    assert program.post(envelope(1)).json()["status"] == "ignored"
    program.stop()
    program.route(when={"events": ["customer.publication.succeeded"]})
    program.start()
    program.run("replay", "--stored", "--ignored", "--yes")
    wait_for(program.accepted)
    assert program.accepted()[0].user == "crm-1"
    program.run("replay", "--stored", "--ignored", "--yes")
    settle(program)
    assert len(program.accepted()) == 1


def test_a_reward_survives_the_renaming_of_its_route(program: Program) -> None:
    program.start()
    program.post(envelope(1))
    settle(program)
    program.stop()
    program.route(name="new", formerly=["all"])
    program.start()
    again = json.loads(envelope(1)) | {"id": "whs_again"}
    assert program.post(as_bytes(again)).json()["status"] == "duplicate"
