"""Bytes to one JSON document within limits, and which of its values can be used.

Knows nothing of events; no I/O.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import NoReturn

from bridge.errors import EnvelopeError
from bridge.model import Json

#: Deepest nesting of objects and lists; real webhooks stay below ten.
MAX_DEPTH = 100
#: Longest integer: a user id has at most 52 characters, a vendor's number about 17.
MAX_DIGITS = 64
#: Longest id or code, in bytes of UTF-8: several make one key, and what a database can
#: index has a limit.
MAX_LENGTH = 255
#: Replaces half a character (a lone surrogate) that the sender wrote: that can be
#: neither stored nor sent, and is no reason to park a whole message.
REPLACEMENT = "\ufffd"

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
#: What the payload designer may leave where a value is missing: it is documented
#: nowhere, so all of them count as absent.
_ABSENT = frozenset({"", "null", "undefined", "None"})
_EMPTY: Mapping[str, Json] = MappingProxyType({})


def read(body: bytes) -> Json:
    """Read a body as JSON, whatever its Content-Type says.

    A repeated key counts with its last value, as in the sender's own JSON. Lone
    surrogates become U+FFFD, which `identifier` does not accept.

    Raises:
        EnvelopeError: Not UTF-8, not JSON, or beyond the limits.
    """
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
    except UnicodeDecodeError:
        raise EnvelopeError("the body is not UTF-8") from None
    if not text.strip():
        raise EnvelopeError("the body is empty")
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise EnvelopeError(f"the body is not JSON ({where})") from None
    except RecursionError:
        raise _too_deep() from None
    # Counting brackets is far cheaper than walking, and almost always enough.
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _is_too_deep(document):
        raise _too_deep()
    return _repaired(document) if _SURROGATE_ESCAPE.search(body) else document


def is_absent(value: Json) -> bool:
    """Tell whether an identity or code field holds nothing usable."""
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    return value.strip() in _ABSENT or ("{{" in value and "}}" in value)


def is_placeholder(value: Json) -> bool:
    """Tell whether a text is nothing but an unfilled `{{…}}`."""
    if not isinstance(value, str):
        return False
    text = value.strip()
    return text.startswith("{{") and text.endswith("}}")


def present(value: Json) -> Json:
    """Return the value as sent, None where it is absent."""
    return None if is_absent(value) else value


def identifier(value: Json) -> str | None:
    """Read an id or a code: opaque, printable, undamaged, not too long; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value.isprintable() or is_absent(value):
        return None
    if REPLACEMENT in value or len(value.encode()) > MAX_LENGTH:
        return None
    return value


def member(owner: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return a member that is an object, else an empty one."""
    value = owner.get(name)
    return value if isinstance(value, dict) else _EMPTY


def moment(value: Json) -> datetime | None:
    """Read one of Voucherify's times, UTC; None where it cannot be read."""
    if not isinstance(value, str):
        return None
    try:
        # A published example has blanks inside a timestamp.
        found = datetime.fromisoformat(value.replace(" ", ""))
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _too_deep() -> EnvelopeError:
    return EnvelopeError(f"the body is nested deeper than {MAX_DEPTH} levels")


def _is_too_deep(document: Json) -> bool:
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        level = [one for one in level if isinstance(one, dict | list)]
        if not level:
            return False
        level = [
            child
            for one in level
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return True


def _repaired(value: Json) -> Json:
    if isinstance(value, str):
        return _LONE_SURROGATE.sub(REPLACEMENT, value)
    if isinstance(value, list):
        return [_repaired(one) for one in value]
    if isinstance(value, dict):
        return {_repaired(name): _repaired(one) for name, one in value.items()}
    return value


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise EnvelopeError(f"an integer has more than {MAX_DIGITS} digits")
    return int(digits)


def _number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise EnvelopeError("a number is too large")
    return number


def _constant(_name: str) -> NoReturn:
    raise EnvelopeError("NaN or Infinity is in the body; JSON has neither")


_DECODER = json.JSONDecoder(
    parse_int=_integer, parse_float=_number, parse_constant=_constant
)
