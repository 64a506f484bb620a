"""What webhooks become in the ledger: made once by the bridge, with marks in them.

A row of the ledger is a pattern with its marks replaced, so that a million cost little
more than writing them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, cast

from bridge import bootstrap, capture, config
from bridge.capture import Found
from bridge.intake import Intake
from bridge.model import Arrival, Capture
from bridge.steering.previewing import DELIVERY_ID, Previewer

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "samples" / "voucherify"
#: Replaced by a number of the event's own, of the same length.
SERIAL = "5eria1numbermark"
#: Replaced by a number of the person's.
PERSON = "per5onnumbermark"
#: How often each sample comes, in thousandths.
SHARES: Mapping[str, int] = {
    "03_distribution_publication_succeeded_default": 450,
    "01_project_voucher_published_discount": 140,
    "14_distribution_customer_rewarded_referral_coupon": 90,
    "13_project_publication_succeeded_multi": 120,
    "08_project_customer_rewarded_loyalty_points": 100,
    "06_distribution_raw_on_with_ids": 70,
    "16_distribution_customer_referred": 20,
    "api_publication_single": 10,
}
_IDS = re.compile(r"\b(whs|pub|v|r|rft|rewr|vtx|evcus|evvou)_[A-Za-z0-9]{8,}")
_CUSTOMERS = re.compile(r"\b(cust_)[A-Za-z0-9]{8,}|\b(crm-)\d+")
_MAILS = re.compile(r'(?<=")[^"@\s]+(@[^"@\s]+)(?=")')
_CODES = re.compile(r'"code":\s*"([A-Z]+-)[^"]+"')
_HASH = re.compile(r"[0-9a-f]{64}")
#: What the payloads need not have: a secret.
_ENVIRONMENT = {"ITERABLE_API_KEY": "benchmark", "BRIDGE_INBOUND_TOKEN": "benchmark"}

_Marked = TypeVar("_Marked")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """One kind of webhook: what intake made of it, and the payloads of its rewards."""

    share: int
    arrival: Arrival
    #: In the order of the deliveries.
    payloads: tuple[bytes, ...]


def patterns() -> list[Pattern]:
    """Make every pattern with the example configuration."""
    loaded = config.load(ROOT / "config.example.yaml", _ENVIRONMENT)
    intake = Intake(loaded.routes, _never, lambda: DELIVERY_ID)
    previewer = Previewer(loaded, intake, bootstrap.templates(loaded))
    return [_pattern(name, intake, previewer) for name in SHARES]


def _never(*_: object, **__: object) -> Any:
    raise AssertionError("nothing is stored")


def _pattern(name: str, intake: Intake, previewer: Previewer) -> Pattern:
    (sample,) = capture.read(SAMPLES / f"{name}.json")
    marked = Capture(
        body=_marked(_lean(sample.body)).encode(),
        headers={
            "content-type": "application/json",
            "user-agent": "Voucherify",
            "x-voucherify-signature": SERIAL * 4,
        },
    )
    arrival = intake.decide(marked)
    if arrival.is_hashed:
        arrival = replaced(arrival, {_hash_of(arrival.transport_key): SERIAL * 4})
    shown = previewer.previews(Found(where=name, capture=marked))
    payloads = tuple(one.payload for one in shown if one.payload is not None)
    if len(payloads) != len(arrival.deliveries):
        raise AssertionError(f"{name} has no payload")
    return Pattern(share=SHARES[name], arrival=arrival, payloads=payloads)


def _lean(body: bytes) -> str:
    """Leave out what nothing reads, so that a million bodies are 2 GB and not 5."""
    document = json.loads(body)
    data = document.get("data", {})
    for name in ("campaign", "order", "redemption", "holder"):
        for part in ("voucher", "customer", "items", "metadata", "validation_rules"):
            data.get(name, {}).pop(part, None)
    for whole in (data.get("publication", {}), data.get("customer", {})):
        for part in ("voucher", "summary", "loyalty", "assets", "_links"):
            whole.pop(part, None)
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _hash_of(key: str) -> str:
    match = _HASH.search(key)
    return key if match is None else match[0]


def _marked(body: str) -> str:
    """Put marks into what differs from one webhook to the next."""
    for pattern, mark in (
        (_IDS, SERIAL),
        (_CODES, SERIAL),
        (_CUSTOMERS, PERSON),
        (_MAILS, PERSON),
    ):
        found = dict.fromkeys(match[0] for match in pattern.finditer(body))
        for number, whole in enumerate(found):
            body = body.replace(whole, _instead(pattern, whole, f"{mark}{number}"))
    return body


def _instead(pattern: re.Pattern[str], whole: str, mark: str) -> str:
    if pattern is _CODES:
        before, _, code = whole.rstrip('"').rpartition('"')
        return f'{before}"{code.partition("-")[0]}-{mark}"'
    if pattern is _MAILS:
        return f"{mark}@{whole.partition('@')[2]}"
    separator = "-" if whole.startswith("crm-") else "_"
    return f"{whole.partition(separator)[0]}{separator}{mark}"


def replaced(value: _Marked, marks: Mapping[str, str]) -> _Marked:
    """Replace texts wherever they stand in a value, however deep."""
    done: Any = value
    if type(value) is str:
        for mark, text in marks.items():
            done = done.replace(mark, text)
    elif isinstance(value, bytes):
        for mark, text in marks.items():
            done = done.replace(mark.encode(), text.encode())
    elif isinstance(value, tuple):
        done = tuple(replaced(one, marks) for one in value)
    elif isinstance(value, Mapping):
        done = {key: replaced(one, marks) for key, one in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in fields(value)]
        done = replace(
            value, **{name: replaced(getattr(value, name), marks) for name in names}
        )
    return cast("_Marked", done)
