"""Bytes to one JSON document within limits; knows nothing of what it means."""

import json
import math
import re
from typing import NoReturn

from bridge.errors import EnvelopeError
from bridge.model import Json

#: Deepest nesting of objects and lists; real webhooks stay below ten.
MAX_DEPTH = 100
#: Longest integer: a user id has at most 52 characters, a sender's number about 17.
MAX_DIGITS = 64

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def read(body: bytes) -> Json:
    """Read a body as JSON, whatever its Content-Type said.

    A repeated key counts with its last value, as in the sender's own JSON.

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
    if _SURROGATE_ESCAPE.search(body):
        _refuse_lone_surrogates(document)
    return document


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


def _refuse_lone_surrogates(document: Json) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise EnvelopeError(
            "a lone surrogate (half a character) is in the body; "
            "it could neither be stored nor sent"
        ) from None


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
