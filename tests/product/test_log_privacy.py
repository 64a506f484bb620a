"""A run at its most talkative, and nothing in its log that must not be there."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.product.program import (
    KEY,
    SAMPLES,
    SECRET,
    Program,
    compact,
    installed,
    new_person,
    sample,
    sign,
    webhook,
)
from tests.product.recorder import Answer

SECRETS = {
    "VOUCHERIFY_WEBHOOK_SECRET": f"{SECRET},vf-older-secret-2",
    "BRIDGE_INBOUND_TOKEN": "inbound-token-3",
    "ITERABLE_WEBHOOK_SECRET": "itbl-hook-secret-4",
    "BRIDGE_METRICS_TOKEN": "metrics-token-5",
    "BRIDGE_CONSOLE_PASSWORD": "console-password-6",
    "VOUCHERIFY_APP_ID": "vf-app-id-7",
    "VOUCHERIFY_APP_TOKEN": "vf-app-token-8",
    "ALERT_WEBHOOK_URL": "http://127.0.0.1:9/services/alert-secret-9",
}
STRANGER = "stranger+x@elsewhere.example"
#: What a vendor repeats of the customer in its error texts.
TOLD = f"No user exists with email {STRANGER}, key {KEY}"
PERSONAL = {"code", "email", "name", "phone", "couponCode"}


def texts(document: Any, keys: set[str]) -> Iterator[str]:
    """Yield every text in a document that is under one of the keys."""
    items = document if isinstance(document, list) else []
    pairs = document.items() if isinstance(document, dict) else []
    for item in items:
        yield from texts(item, keys)
    for key, value in pairs:
        if key in keys and isinstance(value, str):
            yield value
        yield from texts(value, keys)


def forbidden() -> set[str]:
    """Collect every secret, and every code, name and address of the samples."""
    found = {KEY, STRANGER, TOLD, "alert-secret-9", "No user exists"}
    found |= {one for value in SECRETS.values() for one in value.split(",")}
    for path in SAMPLES.glob("[0-9]*.json"):
        document = sample(path.name[:2])
        found |= set(texts(document, PERSONAL - {"name"}))
        data = document.get("data")
        customer = data.get("customer") if isinstance(data, dict) else None
        found |= set(texts(customer, PERSONAL))
    return {one for one in found if len(one) >= 5}


def post_everything(program: Program) -> None:
    """Bring what is stored, repeated, parked, ignored and refused."""
    for path in sorted(SAMPLES.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        for _ in range(2):
            assert program.post(document).status_code == 202
    body = compact(webhook(customer={"name": STRANGER, "email": STRANGER}))
    for headers in ({"x-voucherify-signature": STRANGER}, {"Api-Key": STRANGER}):
        assert program.post(body, headers=headers).status_code == 401
    for nonsense in (STRANGER.encode(), compact({"data": STRANGER})):
        assert program.post(nonsense).status_code == 202
    headers = {"x-voucherify-signature": sign(body), "X-Request-Id": STRANGER}
    assert program.post(body, headers=headers).status_code == 202
    raw = {"campaignId": 1, "recipientEmail": STRANGER, "dataFields": {"c": "CODE-X"}}
    token = {"Api-Key": SECRETS["BRIDGE_INBOUND_TOKEN"]}
    assert program.post(raw, "/api/email/target", headers=token).ok
    for page in (f"/{STRANGER}", f"/console/deliveries?search={STRANGER}", "/metrics"):
        requests.get(f"{program.url}{page}", timeout=20)


def refuse(program: Program, status: int, code: str) -> list[str]:
    """Let Iterable refuse one message in words that name the customer."""
    person = new_person()
    body = {"msg": TOLD, "code": code, "params": {"email": STRANGER}}
    answer = Answer(status=status, body=body)
    program.iterable.tell(answer, path="/api/email", person=person)
    return program.accept(webhook(person))


def answer_in_every_way(program: Program) -> None:
    """Let Iterable refuse messages for every kind of reason."""
    ids = [
        *refuse(program, 400, "UnknownEmailError"),
        *refuse(program, 400, "ForgottenUserError"),
        *refuse(program, 503, "GenericError"),
        *refuse(program, 500, "GenericError"),
    ]
    program.settled(ids, seconds=60)
    refuse(program, 404, "NotFound")
    program.await_log("circuit.opened")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A program after a run with everything in it; it has ended."""
    with installed(tmp_path_factory.mktemp("privacy")) as program:
        raw = {"name": "raw", "match": {"raw": True}, "template": "passthrough.json.j2"}
        rest = program.config["routes"][0] | {"on_unknown_outcome": "hold"}
        program.configure(routes=[raw, rest], alerts={"held": 1, "dead": 1})
        program.env |= SECRETS | {"LOG_LEVEL": "DEBUG"}
        program.start()
        post_everything(program)
        answer_in_every_way(program)
        program.await_log("alert.unsent", seconds=60)
        assert program.stop() == [0]
        yield program


def test_no_secret_code_name_address_or_vendors_text_is_in_the_log(
    ran: Program,
) -> None:
    kept_out = forbidden()
    assert len(kept_out) > 30, "the samples have more to hide than that"
    found = [
        one
        for one in sorted(kept_out)
        if re.search(rf"(?<!\w){re.escape(one)}(?!\w)", ran.log)
    ]
    assert found == []


def test_every_line_is_json_with_a_time_a_level_and_an_event(ran: Program) -> None:
    for line in ran.log.splitlines():
        assert {"timestamp", "level", "event"} <= json.loads(line).keys()


def test_every_line_names_its_request_or_its_delivery(ran: Program) -> None:
    for record in ran.records():
        area = record["event"].partition(".")[0]
        if area in ("event", "request"):
            assert re.fullmatch(r"[0-9a-f]{32}", record["request_id"]), record
        if area == "delivery":
            assert re.fullmatch(r"[0-9a-f-]{36}", record["delivery_id"]), record


def test_the_run_had_every_kind_of_line(ran: Program) -> None:
    assert {record["event"] for record in ran.records()} >= {
        "event.received",
        "request.rejected",
        "delivery.accepted",
        "delivery.rescheduled",
        "delivery.held",
        "delivery.dead",
        "delivery.suppressed",
        "circuit.opened",
        "alert.unsent",
    }
