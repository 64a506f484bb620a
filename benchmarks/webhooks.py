"""Signed webhooks, built before they are sent, and how much of HTTP both ends read."""

import hashlib
import hmac
import json
import re
from pathlib import Path

SECRET = "benchmark-secret"
SAMPLE = (
    Path(__file__).parents[1]
    / "samples/voucherify/03_distribution_publication_succeeded_default.json"
)
#: In the template, in place of each webhook's serial.
MARK = "5eria1number"
#: Odd, so that each index gets its own number; scattered over a database's indexes.
_SCATTER = 2654435761
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def serial(run: int, index: int) -> str:
    """Make the 12 hexadecimal digits that one webhook has in all of its ids."""
    return f"{index * _SCATTER % 2**32:08x}{run:04x}"


def template() -> bytes:
    """Put the mark into every id of the sample."""
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    data = sample["data"]
    text = json.dumps(sample, separators=(",", ":"), ensure_ascii=False)
    for original, marked in (
        (sample["id"], f"whs_{MARK}"),
        (sample["event"]["id"], f"evcus_{MARK}"),
        (data["customer"]["id"], f"cust_{MARK}"),
        (data["customer"]["source_id"], f"crm-{MARK}"),
        (data["customer"]["email"], f"{MARK}@shop.example"),
        (data["publication"]["id"], f"pub_{MARK}"),
        (data["voucher"]["id"], f"v_{MARK}"),
        (data["voucher"]["code"], f"BACK-{MARK}"),
    ):
        text = text.replace(f'"{original}"', f'"{marked}"')
    return text.encode()


def requests(first: int, count: int, *, run: int) -> list[bytes]:
    """Build a run's whole HTTP requests from an index on, ready for a socket."""
    body, mark = template(), MARK.encode()
    head = (
        "POST /webhooks/voucherify HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "User-Agent: benchmark\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nx-voucherify-signature: "
    ).encode()
    built = []
    for index in range(first, first + count):
        own = body.replace(mark, serial(run, index).encode())
        signature = hmac.digest(SECRET.encode(), own, hashlib.sha256).hex()
        built.append(head + signature.encode() + b"\r\n\r\n" + own)
    return built


def is_complete(message: bytes) -> bool:
    """Tell whether an HTTP message has its whole head and body."""
    end = message.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = _LENGTH.search(message, 0, end + 2)
    return len(message) >= end + 4 + (int(length[1]) if length else 0)
