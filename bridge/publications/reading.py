"""A publication as Voucherify lists it, read leniently. Pure: no I/O, no clock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bridge.model import Json
from bridge.voucherify import identifier

#: Words of the vendor's that are repeated to a person have at most so many characters.
_MOST_WORDS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """One publication; what it lacks is None or empty."""

    id: str | None
    published_at: datetime | None
    customer_id: str | None
    #: Under what else a ledger may know the customer: source id, e-mail address.
    names: tuple[str, ...] = ()
    voucher_ids: tuple[str, ...] = ()
    #: In the order listed, which nobody promises to be that of the ids.
    codes: tuple[str, ...] = ()
    #: Why it gave nothing, where Voucherify says that it failed.
    failure: str | None = None
    #: As listed, in compact JSON: thousands of them are held at a time.
    document: bytes = field(repr=False, default=b"{}")


def read(item: Json) -> Publication:
    """Read one item of the list; never fails."""
    one = item if isinstance(item, dict) else {}
    customer = _member(one, "customer")
    source_ids = (customer.get("source_id"), one.get("tracking_id"))
    names = (identifier(name) for name in (*source_ids, customer.get("email")))
    customer_ids = (one.get("customer_id"), customer.get("id"))
    return Publication(
        id=identifier(one.get("id")),
        published_at=moment(one.get("created_at")),
        customer_id=next(filter(None, map(identifier, customer_ids)), None),
        names=tuple(dict.fromkeys(name for name in names if name is not None)),
        voucher_ids=_identifiers(one.get("vouchers_id")),
        codes=_identifiers(_codes(one)),
        failure=_failure(one) if one.get("result") == "FAILURE" else None,
        document=json.dumps(one, separators=(",", ":")).encode("ascii"),
    )


def moment(value: Json) -> datetime | None:
    """Read a time of Voucherify's; None where it cannot be read."""
    if not isinstance(value, str):
        return None
    try:
        # A published example has blanks inside a timestamp.
        found = datetime.fromisoformat(value.replace(" ", ""))
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _failure(one: Mapping[str, Json]) -> str:
    words = [one.get("failure_code"), one.get("failure_message")]
    said = ": ".join(word for word in words if isinstance(word, str) and word)
    return said[:_MOST_WORDS] or "Voucherify gives no reason"


def _codes(one: Mapping[str, Json]) -> list[Json]:
    """List the codes: of one voucher's object, else the texts or objects of several."""
    several = one.get("vouchers")
    listed: list[Json] = several if isinstance(several, list) else [one.get("voucher")]
    return [each.get("code") if isinstance(each, dict) else each for each in listed]


def _identifiers(values: Json) -> tuple[str, ...]:
    found = map(identifier, values if isinstance(values, list) else ())
    return tuple(dict.fromkeys(one for one in found if one is not None))


def _member(owner: Mapping[str, Json], name: str) -> Mapping[str, Any]:
    value = owner.get(name)
    return value if isinstance(value, dict) else {}
