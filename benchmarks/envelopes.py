"""Signed 2 KB webhooks, built before they are sent; no two tell of the same reward."""

import hashlib
import hmac
import json
from pathlib import Path

SECRET = "benchmark-secret"
PATH = "/webhooks/voucherify"
SAMPLE = (
    Path(__file__).parent.parent
    / "samples/voucherify/03_distribution_publication_succeeded_default.json"
)
#: Stands in the template wherever a number of its own must be: 4 digits of the run, 8
#: of the webhook.
MARK = "5eria1number"


def user_id(run: int, index: int) -> str:
    """Name the Iterable user of one webhook."""
    return f"{users_of(run)}{index:08x}"


def users_of(run: int) -> str:
    """Give what the names of all users of one run begin with."""
    return f"crm-{run:04x}"


def template() -> bytes:
    """Cut the sample down to 2 KB and put the mark into every id."""
    sample = json.loads(SAMPLE.read_text(encoding="utf-8"))
    data = sample["data"]
    del data["campaign"]["voucher"]
    published = data["publication"]
    published["customer"] = _only(published["customer"], "id", "source_id", "object")
    published["voucher"] = _only(published["voucher"], "id", "code", "type", "object")
    text = json.dumps(sample, separators=(",", ":"), ensure_ascii=False)
    for sent, marked in (
        (sample["id"], f"whs_{MARK}"),
        (sample["event"]["id"], f"evcus_{MARK}"),
        (data["customer"]["id"], f"cust_{MARK}"),
        (data["customer"]["source_id"], f"crm-{MARK}"),
        (data["customer"]["email"], f"{MARK}@shop.example"),
        (published["id"], f"pub_{MARK}"),
        (data["voucher"]["id"], f"v_{MARK}"),
        (data["voucher"]["code"], f"BACK-{MARK}"),
    ):
        text = text.replace(f'"{sent}"', f'"{marked}"')
    return text.encode()


def _only(whole: dict[str, object], *names: str) -> dict[str, object]:
    return {name: whole[name] for name in names}


def requests(count: int, *, run: int, port: int) -> list[bytes]:
    """Build whole HTTP requests, headers included, ready for a socket."""
    body = template()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        "User-Agent: benchmark\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nx-voucherify-signature: "
    ).encode()
    mark, secret = MARK.encode(), SECRET.encode()
    built = []
    for index in range(count):
        own = body.replace(mark, f"{run:04x}{index:08x}".encode())
        proof = hmac.digest(secret, own, hashlib.sha256).hex().encode()
        built.append(head + proof + b"\r\n\r\n" + own)
    return built
