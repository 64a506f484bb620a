"""Every sample webhook, posted to the running program: who, which code, which key."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from bridge.voucherify import strip_insignificant
from tests.e2e.program import ROOT, SECRET, Program, wait_for

pytestmark = pytest.mark.e2e

FOLDER = ROOT / "samples" / "voucherify"
MANIFEST = FOLDER / "manifest.jsonl"
CODES = """{
  "campaignId": {{ route.campaign_id }},
  "recipientUserId": {{ recipient.user_id }},
  "dataFields": {"codes": {{ reward.codes | tojson }}, "bridgeId": {{ bridge_id }}}
}"""


@dataclass(frozen=True)
class Message:
    """What a customer was told, and why no second time."""

    person: str
    codes: tuple[str, ...]
    key: str


def manifest() -> Iterator[dict[str, Any]]:
    for line in MANIFEST.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        if "file" in entry:
            yield entry


def routes(per: str) -> list[dict[str, Any]]:
    raw = {"name": "raw", "when": {"raw": True}, "template": "passthrough.json.j2"}
    rest = {"name": "all", "when": {}, "campaign_id": 1, "template": "codes.json.j2"}
    return [raw, rest | {"per": per}]


def expected(per: str) -> Counter[Message]:
    """What the manifest says shall arrive, a message each."""
    found: Counter[Message] = Counter()
    for entry in manifest():
        if entry["kind"] == "api":
            continue
        recipient = entry["recipient"]
        person = recipient.get("source_id") or recipient["userId"]
        key, codes = entry["business_key"], tuple(entry["codes"])
        if key is None:
            key = fallback(entry)
        if per == "voucher" and key.endswith(":*"):
            vouchers = json.loads((FOLDER / entry["file"]).read_bytes())["data"]
            for voucher in vouchers["vouchers"]:
                single = key.replace("*", voucher["id"])
                found[Message(person, (voucher["code"],), single)] += 1
        elif per == "publication" and key.startswith("pub:") and not entry["raw"]:
            whole = key.rsplit(":", 1)[0] + ":*"
            found[Message(person, codes, whole)] += 1
        else:
            found[Message(person, codes, key)] += 1
    return found


def fallback(entry: dict[str, Any]) -> str:
    """The key of a body that shows no business fact: envelope id, or a hash."""
    body = (FOLDER / entry["file"]).read_bytes()
    if not entry["raw"]:
        return str(json.loads(body)["id"])
    return "raw:" + sha256(b"\n" + strip_insignificant(body)).hexdigest()


def arrived(program: Program) -> Counter[Message]:
    """What reached Iterable, each message with the key of its row in the ledger."""
    told: Counter[tuple[str, str]] = Counter()
    for message in program.accepted():
        fields = message.body["dataFields"]
        codes = fields["codes"] if "codes" in fields else [fields["couponCode"]]
        told[message.body["recipientUserId"], ", ".join(codes)] += 1
    rows = program.deliveries()
    assert told == Counter((row.recipient, row.code) for row in rows)
    return Counter(
        Message(row.recipient, tuple(row.code.split(", ")) if row.code else (), row.key)
        for row in rows
    )


@pytest.fixture
def installed(program: Program, tmp_path: Path) -> Program:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "codes.json.j2").write_text(CODES)
    raw = ROOT / "templates" / "passthrough.json.j2"
    (templates / raw.name).write_bytes(raw.read_bytes())
    program.configure(templates="templates")
    return program


@pytest.mark.parametrize("per", ["voucher", "publication"])
def test_the_ledger_and_iterable_show_what_the_manifest_says(
    installed: Program, per: str
) -> None:
    installed.configure(routes=routes(per))
    installed.start()
    for entry in manifest():
        body = (FOLDER / entry["file"]).read_bytes()
        answer = installed.post(body, **{"x-voucherify-signature": entry["signature"]})
        assert answer.status_code == 202, entry["file"]
        is_api = entry["kind"] == "api"
        assert (answer.json()["status"] == "parked") is is_api, entry["file"]
    wanted = expected(per)
    wait_for(lambda: len(installed.accepted()) >= wanted.total())
    wait_for(lambda: set(installed.statuses()) == {"accepted"})
    assert arrived(installed) == wanted


def test_a_wrong_secret_is_refused_and_leaves_nothing(installed: Program) -> None:
    installed.configure(routes=routes("voucher"))
    installed.start()
    body = next(FOLDER.glob("01_*.json")).read_bytes()
    answer = installed.post(body, **{"x-voucherify-signature": "0" * 64})
    assert answer.status_code == 401
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert installed.run("events", "--json") == ""
    assert SECRET not in installed.log
