"""Messages that an operator wrote as Iterable's own request, in the payload designer.

Pure. Finds the codes among the merge fields, and what was not filled in.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bridge.errors import EnvelopeError
from bridge.integrations.voucherify.document import (
    identifier,
    is_absent,
    is_placeholder,
    member,
    present,
)
from bridge.integrations.voucherify.envelope import BUSINESS_TTL, Envelope
from bridge.integrations.voucherify.keys import publication_key
from bridge.integrations.voucherify.messages import (
    code_keys,
    reward,
    template_reward,
)
from bridge.model import Customer, Json, Message

#: A field named "…code" after one of these holds a voucher's code ("" is `code`).
_VOUCHERS = re.compile(
    "|".join(
        (
            *("^", "coupon", "voucher", "promo", "promotion", "promotional"),
            *("discount", "gift", "giftcard", "reward", "referral", "offer", "bonus"),
            *("loyalty", "loyaltycard", "redeem", "redemption", "unique"),
        )
    ).join(("(?:", ")$"))
)
#: After one of these it holds the code of something else, or a picture's address.
_OTHERS = re.compile(
    "(?:area|bar|branch|country|currency|dial|error|http|iso|lang|language|locale|phone"
    "|post|postal|product|qr|region|response|shop|state|status|store|tax|zip)$"
)
_URL = re.compile(r"(?i)\s*(?:https?|data):")
_SHOWABLE = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """One scalar among the merge fields, at any depth."""

    #: As shown in reasons (`offers[0].code`).
    path: str
    #: Lower case, singular, with its parent's name where it is just `code`.
    name: str
    value: Json

    @property
    def prefix(self) -> str | None:
        """What precedes "code" in the name; None for another name."""
        return self.name.removesuffix("code") if self.name.endswith("code") else None

    @property
    def is_url(self) -> bool:
        """Tell whether it holds an address, never a code."""
        return isinstance(self.value, str) and _URL.match(self.value) is not None

    @property
    def is_number(self) -> bool:
        """Tell whether it holds a number, or true or false."""
        return isinstance(self.value, int | float)

    def shown(self) -> str:
        """Name the field, unless its name could be somebody's data."""
        is_showable = _SHOWABLE.fullmatch(self.path)
        return f"dataFields.{self.path}" if is_showable else "a data field"


def raw_message(envelope: Envelope) -> Message:
    """Read an Iterable request as one message.

    Raises:
        EnvelopeError: It is for a list, or a code or another field was not filled in.
    """
    body = envelope.data
    if body.get("listIds"):
        raise EnvelopeError(
            "listIds: the body is for whole lists; this bridge sends to one recipient "
            "a webhook (recipientUserId or recipientEmail)"
        )
    fields = body.get("dataFields")
    if not isinstance(fields, dict | None):
        raise EnvelopeError("dataFields is not an object")
    codes = codes_of(fields or {})
    ids = member(body, "voucherify")
    publication_id = identifier(ids.get("publicationId"))
    voucher_id = identifier(ids.get("voucherId"))
    customer = Customer(
        id=identifier(ids.get("customerId")),
        source_id=present(body.get("recipientUserId")),
        email=present(body.get("recipientEmail")),
    )
    key, publication = envelope.body_key(), {}
    if publication_id is not None and voucher_id is not None:
        key = publication_key(publication_id, voucher_id), BUSINESS_TTL
        publication = {"id": publication_id, "vouchers_id": [voucher_id]}
    code = {"code": codes[0]} if len(codes) == 1 else {}
    voucher = None if voucher_id is None else {"id": voucher_id, **code}
    message = reward(
        {"publication": publication},
        key,
        customer=customer,
        voucher=voucher,
        is_granted=False,
        alias_keys=code_keys((voucher,) if voucher else (), customer),
    )
    return _with_codes(message, codes, body)


def _with_codes(
    message: Message, codes: tuple[str, ...], body: Mapping[str, Json]
) -> Message:
    """Show the codes found among the merge fields, whose type is not known."""
    size, group = (0, None) if message.group is None else (1, message.group.id)
    shown = template_reward(message.key, codes, size, group)
    return replace(
        message,
        codes=codes,
        voucher_types=() if codes else message.voucher_types,
        raw=body,
        data={**message.data, "reward": shown},
    )


def codes_of(fields: Mapping[str, Json]) -> tuple[str, ...]:
    """Find the codes among merge fields, in order.

    Fields named after a voucher's code count (`couponCode`, `voucher.code`). Only where
    there is none, any other "…code" does that is not known to be something else.

    Raises:
        EnvelopeError: A code is empty, unfilled or damaged, or another field is nothing
            but an unfilled `{{…}}`. Better no message than that one.
    """
    found = [one for one in _fields(fields, "", "") if not one.is_url]
    by_name = [one for one in found if one.prefix is not None]
    likely = [one for one in by_name if not _OTHERS.search(one.prefix or "")]
    named = [one for one in likely if _VOUCHERS.search(one.prefix or "")]
    # A number is a code only where the name says whose (not `code: 404`).
    certain = [one for one in named if one.prefix or not one.is_number]
    vague = [one for one in likely if not one.is_number]
    codes = [_code(one) for one in certain or vague]
    for one in found:
        if is_placeholder(one.value):
            raise EnvelopeError(f"{one.shown()} is an unfilled placeholder")
    return tuple(dict.fromkeys(codes))


def _code(one: _Field) -> str:
    if is_absent(one.value):
        raise EnvelopeError(f"{one.shown()} is empty or was not filled in")
    code = identifier(one.value)
    if code is None:
        raise EnvelopeError(f"{one.shown()} holds no code that could be shown")
    return code


def _fields(value: Json, path: str, name: str) -> Iterator[_Field]:
    """Yield the scalars below a value, in order."""
    if isinstance(value, dict):
        for key, child in value.items():
            plain = key.lower().replace("_", "").replace("-", "").replace(" ", "")
            plain = f"{name}{plain}" if plain in ("code", "codes") else plain
            yield from _fields(child, f"{path}.{key}" if path else key, plain)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _fields(child, f"{path}[{index}]", name.removesuffix("s"))
    else:
        yield _Field(path=path, name=name, value=value)
