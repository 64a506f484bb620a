"""Rewards an operator wrote as Iterable's own request."""

import re
from collections.abc import Iterator, Mapping

from bridge.errors import EnvelopeError
from bridge.model import Json, Reward
from bridge.voucherify.content import Content
from bridge.voucherify.keys import BUSINESS_KEEP, publication_key
from bridge.voucherify.values import (
    identifier,
    is_absent,
    is_placeholder,
    member,
    present,
)

#: Fields whose name ends in "code" though they hold no voucher's.
_OTHER_CODES = frozenset(
    f"{what}code"
    for what in (
        "area",
        "country",
        "currency",
        "lang",
        "language",
        "locale",
        "phone",
        "post",
        "postal",
        "region",
        "state",
        "zip",
    )
)
_SAYABLE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def raw_reward(content: Content) -> Reward:
    """Read an Iterable request as one reward.

    Raises:
        EnvelopeError: A code or another field was not filled in.
    """
    body = content.data
    fields = body.get("dataFields")
    if not isinstance(fields, dict | None):
        raise EnvelopeError("dataFields is not an object")
    codes = tuple(_codes(fields or {}))
    ids = member(body, "voucherify")
    publication_id = identifier(ids.get("publicationId"))
    voucher_id = identifier(ids.get("voucherId"))
    key, keep = content.body_key()
    if publication_id is not None and voucher_id is not None:
        key, keep = publication_key(publication_id, voucher_id), BUSINESS_KEEP
    return Reward(
        key=key,
        keep=keep,
        customer_id=identifier(ids.get("customerId")),
        source_id=present(body.get("recipientUserId")),
        email=present(body.get("recipientEmail")),
        vouchers=_vouchers(voucher_id, codes),
        codes=codes,
        raw=body,
        publication_id=publication_id,
        published=0 if publication_id is None else 1,
    )


def _vouchers(
    voucher_id: str | None, codes: tuple[str, ...]
) -> tuple[Mapping[str, Json], ...]:
    if voucher_id is None:
        return ()
    code = {"code": codes[0]} if len(codes) == 1 else {}
    return ({"id": voucher_id, **code},)


def _codes(fields: Mapping[str, Json]) -> Iterator[str]:
    """Yield the codes among the merge fields.

    Raises:
        EnvelopeError: A field was not filled in; better no message than that one.
    """
    for name, value in fields.items():
        if _names_a_code(name):
            if is_absent(value):
                raise EnvelopeError(f"{_shown(name)} is empty or was not filled in")
            code = identifier(value)
            if code is not None:
                yield code
        elif is_placeholder(value):
            raise EnvelopeError(f"{_shown(name)} is a placeholder nobody filled in")


def _names_a_code(name: str) -> bool:
    plain = name.lower().replace("_", "").replace("-", "")
    return plain.endswith("code") and plain not in _OTHER_CODES


def _shown(name: str) -> str:
    return f"dataFields.{name}" if _SAYABLE.fullmatch(name) else "a data field"
