"""A whole run at its most talkative, and nothing in its log that must not be there."""

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest
import requests

from bridge.voucherify import sign
from tests.e2e.program import KEY, ROOT, SECRET, Program, envelope, wait_for
from tests.e2e.test_iterable_answers import fixtures

pytestmark = pytest.mark.e2e

WEBHOOKS = ROOT / "samples" / "voucherify"
ANSWERS = ROOT / "samples" / "iterable"
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
#: Beside those of the samples.
STRANGER = "stranger+x@elsewhere.example"
#: A person's data in a webhook: under these keys, wherever they stand.
PERSONAL = {"email", "code", "name", "phone", "msg"}
#: Shorter ones are found in ordinary words.
LEAST = 5


def documents(folder: Any) -> Iterator[Any]:
    for path in sorted(folder.glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def values(document: Any, keys: set[str]) -> Iterator[str]:
    """Yield every text in a document that stands under one of the keys."""
    if isinstance(document, list):
        for item in document:
            yield from values(item, keys)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key in keys and isinstance(value, str):
                yield value
            yield from values(value, keys)


def forbidden() -> set[str]:
    """Collect every secret, code, address, name and answer of Iterable's."""
    found = {KEY, STRANGER, "alert-secret-9"}
    found |= {one for value in SECRETS.values() for one in value.split(",")}
    for document in documents(WEBHOOKS):
        data = document.get("data") if isinstance(document, dict) else None
        data = data if isinstance(data, dict) else {}
        found |= set(values(document, {"code", "email", "couponCode", "phone"}))
        found |= set(values(data.get("customer"), PERSONAL))
    codes: set[str] = set()
    for document in documents(ANSWERS):
        codes |= set(values(document.get("response"), {"code"}))
        found |= set(document.get("expected", {}).get("must_not_log", ()))
        found |= set(values(document.get("response"), {"msg", "email"}))
        if document.get("kind") == "system_webhook":
            body = document["request"]["body"]
            found |= set(values(body, {"email", "voucherCode", "emailSubject"}))
    # One answer's text is no more than its code, which a line may show.
    return {one for one in found - codes if len(one) >= LEAST}


def strange_bytes(program: Program, data: bytes) -> None:
    """Send what is no sound HTTP."""
    address = program.listener.getsockname()
    with closing(socket.create_connection(address, 10)) as client:
        client.sendall(data)
        while client.recv(65_536):
            pass


def send_samples(program: Program) -> None:
    for _ in range(2):
        for path in sorted(WEBHOOKS.glob("[0-9]*.json")):
            assert program.post(path.read_bytes()).status_code == 202


def send_nonsense(program: Program) -> None:
    """Bring everything that is refused or parked, with an address in it."""
    body = envelope(1).replace(b"Ana", STRANGER.encode())
    proofs = ({"x-voucherify-signature": STRANGER}, {"Api-Key": STRANGER})
    for proof in proofs:
        assert program.post(body, **proof).status_code == 401
    for nonsense in (STRANGER.encode(), json.dumps({"data": STRANGER}).encode()):
        assert program.post(nonsense).status_code == 202
    proof = {"x-voucherify-signature": sign(body, SECRET), "X-Request-Id": STRANGER}
    assert program.post(body, **proof).status_code == 202
    token = {"Api-Key": SECRETS["BRIDGE_INBOUND_TOKEN"]}
    raw = {"campaignId": 1, "recipientEmail": STRANGER, "dataFields": {"c": "CODE-X"}}
    target = program.post(json.dumps(raw).encode(), "/api/email/target", **token)
    assert target.status_code == 202
    for path in (f"/{STRANGER}", f"/console/deliveries?search={STRANGER}", "/metrics"):
        requests.get(f"{program.url}{path}", timeout=60)
    strange_bytes(program, f"GET /{STRANGER} HTTP/9\r\n\r\n".encode())
    strange_bytes(program, b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n")


def send_for_every_answer(program: Program) -> None:
    """Let Iterable answer a message in each way on record."""
    for number, one in enumerate(fixtures(), start=1000):
        fixture: dict[str, Any] = one.values[0]
        if fixture.get("transport") == "connect_error":
            continue
        program.sandbox.tell(fixture=fixture["id"], user=f"crm-{number}")
        (delivery,) = program.post(envelope(number)).json()["deliveries"]
        wait_for(partial(is_tried, program, delivery))
        with closing(sqlite3.connect(program.folder / "bridge.db", timeout=10)) as db:
            db.execute("DELETE FROM gates")
            db.commit()


def send_reports(program: Program) -> None:
    """Let Iterable report of messages, and somebody who only pretends to be it."""
    for document in documents(ANSWERS):
        if document.get("kind") == "system_webhook":
            body = json.dumps(document["request"]["body"]).encode()
            for word, status in (
                (SECRETS["ITERABLE_WEBHOOK_SECRET"], 202),
                ("no", 401),
            ):
                headers = {"X-Bridge-Secret": word}
                answer = program.post(body, "/webhooks/iterable", **headers)
                assert answer.status_code == status


def is_tried(program: Program, delivery: str) -> bool:
    story = program.store.ledger.story(delivery)
    return story is not None and bool(story.attempts)


def log_of(program: Program, *arguments: str) -> str:
    """Run a command and return its log; plans show a person what was asked for."""
    done = program.command(*arguments)
    return "\n".join(re.findall(r"^\d{4}-\d\d-\d\dT.*", done.stderr, re.MULTILINE))


def run_commands(program: Program) -> str:
    sample = str(WEBHOOKS / "01_project_voucher_published_discount.json")
    return "".join(
        log_of(program, *arguments)
        for arguments in (
            ("check", "--online"),
            ("render", sample),
            ("deliveries",),
            ("events", "--parked"),
            ("replay", "--yes", sample),
            ("replay", "--stored", "--parked", "--yes"),
            ("redeliver", "--status", "dead", "--yes"),
            ("redeliver", "--status", "accepted", "--force", "--yes"),
            ("pause", "all", "--reason", "a test"),
            ("resume", "all"),
            ("reconcile", "--help"),
        )
    )


def break_store(program: Program) -> None:
    with closing(sqlite3.connect(program.folder / "bridge.db")) as database:
        database.execute("ALTER TABLE events RENAME TO gone")
    assert program.post(envelope(5000)).status_code == 503


@pytest.fixture(scope="module")
def run(shared_program: Program) -> tuple[list[dict[str, Any]], str]:
    """One run with everything in it: the log's lines, and all that was said."""
    program = shared_program
    raw = {"name": "raw", "when": {"raw": True}, "template": "passthrough.json.j2"}
    rest = {
        "name": "all",
        "when": {},
        "campaign_id": 1,
        "template": "triggered_email.json.j2",
        "in_doubt": "hold",
    }
    limits = {"rate_per_second": 5000, "timeout_seconds": 1}
    few = {"held": 1, "dead": 1}
    program.configure(routes=[raw, rest], iterable=limits, alerts=few)
    program.env |= SECRETS | {"LOG_LEVEL": "DEBUG"}
    program.start("--processes", "1")
    send_samples(program)
    send_nonsense(program)
    send_for_every_answer(program)
    send_reports(program)
    said = run_commands(program)
    wait_for(lambda: "alert." in program.log, seconds=40)
    break_store(program)
    assert program.stop() == 0
    lines = [json.loads(line) for line in program.log.splitlines()]
    return lines, program.log + said


def test_no_secret_code_address_or_answer_is_in_any_line(
    run: tuple[list[dict[str, Any]], str],
) -> None:
    _, said = run
    kept_out = forbidden()
    assert len(kept_out) > 50, "the samples have more to hide than that"
    found = [
        secret
        for secret in sorted(kept_out)
        if re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", said)
    ]
    assert not found, [line for line in said.splitlines() if found[0] in line]


def test_every_kind_of_line_came_up(run: tuple[list[dict[str, Any]], str]) -> None:
    lines, _ = run
    assert {line["event"] for line in lines} >= {
        "event.received",
        "request.refused",
        "delivery.accepted",
        "delivery.rescheduled",
        "delivery.held",
        "delivery.dead",
        "delivery.suppressed",
        "delivery.in_doubt",
        "report.unmatched",
        "gate.closed",
        "store.unavailable",
        "alert.unsent",
    }


def test_every_line_names_its_request_or_delivery(
    run: tuple[list[dict[str, Any]], str],
) -> None:
    lines, _ = run
    for line in lines:
        area = line["event"].partition(".")[0]
        if area in ("event", "request"):
            assert re.fullmatch(r"[0-9a-f]{32}", line["request_id"]), line
        if area == "delivery":
            assert re.fullmatch(r"[0-9a-f-]{36}", line["delivery_id"]), line


def test_a_request_leads_to_its_deliveries(
    run: tuple[list[dict[str, Any]], str],
) -> None:
    lines, _ = run
    made = {
        delivery: line["request_id"]
        for line in lines
        if line["event"] == "event.received"
        for delivery in line["deliveries"]
    }
    told = {line["delivery_id"] for line in lines if "delivery_id" in line}
    assert made
    assert set(made) <= told
