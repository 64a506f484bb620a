"""Captures without people: stable stand-ins for what is personal, signed anew.

The same value gets the same stand-in wherever it stands, under one key; so keys of one
reward stay the same in every capture, and templates and routes find what they look for.
Pure: no I/O, no clock. Whatever is not known to be harmless is replaced.
"""

import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase, digits

from bridge import voucherify
from bridge.errors import EnvelopeError
from bridge.model import Capture, Json
from bridge.voucherify.document import read

#: Names whose texts say what something is, not whose.
_KEPT = frozenset(
    {
        *("type", "object", "status", "state", "category", "result", "effect", "mode"),
        *("event", "channel", "data_ref", "related_object_type", "currency", "status"),
        *("campaign", "campaign_id", "campaignid", "campaign_type", "unit_type"),
        *("voucher_type", "related_object", "source_type", "content_type", "endpoint"),
    }
)
#: Names whose texts are looked for in those that are kept, too.
_TELLING = re.compile(
    r"name|email|mail|phone|source_?id|user_?id|code|tracking_id|line_?\d|street|city"
)
#: Below these even numbers say who somebody is.
_FREE = frozenset({"metadata", "address", "customer_metadata"})
_WHO = re.compile(r"(source_?id|user_?id|phone|zip|postal_?code|birth.*)$")
_FIELD = re.compile(r"[a-z_]+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:. ]+(Z|[+-]\d\d:?\d\d)?)?")
_ID = re.compile(r"([a-z]+)_([A-Za-z0-9+/=]{6,})")
_CAMPAIGN_ID = re.compile(r"camp_[A-Za-z0-9]+")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_URL = re.compile(r"[a-z]+://\S+")
#: Shorter ones stand in many words by chance.
_LEAST = 4
_HOST = "example.org"
_SIGNATURE = "x-voucherify-signature"
#: Of the kept headers those that say nothing of anybody.
_HARMLESS = ("content-encoding", "content-type", "user-agent")


class Anonymiser:
    """Replaces what is personal.

    Args:
        key: Makes the stand-ins; whoever has it could try values out.
        secret: Signs what comes out, for tests.
    """

    def __init__(self, key: bytes, secret: str) -> None:
        self._key = key
        self._secret = secret

    def capture(self, original: Capture) -> Capture:
        """Make a capture that names nobody and tells of rewards of the same shape."""
        body = self._body(original.body)
        headers = {
            name: value for name, value in original.headers.items() if name in _HARMLESS
        }
        if _SIGNATURE in original.headers:
            headers[_SIGNATURE] = voucherify.sign(body, self._secret)
        return replace(original, body=body, headers=headers)

    def text(self, value: str) -> str:
        """Make the stand-in of one value."""
        mail, identifier = _MAIL.fullmatch(value), _ID.fullmatch(value)
        if mail is not None:
            return f"{self._alike('a' * 12, value.strip().lower())}@{_HOST}"
        if _URL.fullmatch(value) is not None:
            return f"https://{_HOST}/{self._alike('a' * 12, value)}"
        if identifier is not None:
            return f"{identifier[1]}_{self._alike(identifier[2], value)}"
        return self._alike(value, value)

    def _body(self, body: bytes) -> bytes:
        try:
            document = read(body)
        except EnvelopeError:
            # What is no JSON stays none, and keeps its length and punctuation.
            text = body.decode("utf-8", "replace")
            return self._alike(text, text).encode()
        told: dict[str, str] = {}
        made = self._walk(document, (), told)
        # Longest first: a name may be part of another.
        order = sorted(told, key=lambda one: (-len(one), one))
        made = _without(made, {one: told[one] for one in order})
        return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()

    def _walk(self, value: Json, path: tuple[str, ...], told: dict[str, str]) -> Json:
        """Replace leaves; note what must not survive in those that are kept."""
        if isinstance(value, dict):
            return {
                name: self._walk(one, (*path, name.lower()), told)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self._walk(one, path, told) for one in value]
        if isinstance(value, str):
            return self._leaf(value, path, told)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and _is_personal_number(path):
            return type(value)(self._number(str(value)))
        return value

    def _leaf(self, value: str, path: tuple[str, ...], told: dict[str, str]) -> str:
        if voucherify.is_absent(value) or _is_kept(value, path):
            return value
        made = self.text(value)
        name = path[-1] if path else ""
        if len(value) >= _LEAST and (_TELLING.search(name) or _ID.fullmatch(value)):
            told[value] = made
        return made

    def _number(self, text: str) -> str:
        mantissa, e, exponent = text.partition("e")
        # Sign and two digits: no mantissa leads out of what a float holds by these.
        return self._alike(mantissa, text) + e + exponent[:3]

    def _alike(self, shape: str, value: str) -> str:
        """Draw letters for letters and digits for digits, never the same again."""
        for attempt in range(256):
            stream = self._stream(value, attempt)
            made = "".join(_drawn(one, next(stream)) for one in shape)
            if made != shape or not any(map(str.isalnum, shape)):
                return made
        raise AssertionError("256 draws gave the same text")

    def _stream(self, value: str, attempt: int) -> Iterator[int]:
        seed = value.encode("utf-8", "surrogatepass")
        block = 0
        while True:
            place = f"{attempt}.{block}:".encode()
            yield from hmac.digest(self._key, place + seed, "sha256")
            block += 1


def _drawn(character: str, number: int) -> str:
    """Draw a character of the same kind."""
    if character.isnumeric():
        # No leading zero appears, and none that was there stays alone.
        return digits[1 + number % 9]
    if character.isalpha():
        alphabet = ascii_uppercase if character.isupper() else ascii_lowercase
        return alphabet[number % 26]
    return character


def _is_kept(value: str, path: tuple[str, ...]) -> bool:
    name = path[-1] if path else ""
    if _FREE.intersection(path) or name.startswith("birth"):
        return False
    is_campaign_name = path[-2:] == ("campaign", "name")
    is_harmless = name in _KEPT or is_campaign_name or _DATE.fullmatch(value)
    return bool(is_harmless) or _CAMPAIGN_ID.fullmatch(value) is not None


def _is_personal_number(path: tuple[str, ...]) -> bool:
    return bool(_FREE.intersection(path)) or bool(path and _WHO.fullmatch(path[-1]))


def _without(value: Json, told: Mapping[str, str], *, is_free: bool = False) -> Json:
    """Replace what must not survive wherever a text or a name contains it."""
    if isinstance(value, str):
        for original, made in told.items():
            value = value.replace(original, made)
    elif isinstance(value, list):
        value = [_without(one, told, is_free=is_free) for one in value]
    elif isinstance(value, dict):
        value = {
            name
            if _is_field(name, is_free=is_free)
            else _without(name, told): _without(
                one, told, is_free=is_free or name.lower() in _FREE
            )
            for name, one in value.items()
        }
    return value


def _is_field(name: str, *, is_free: bool) -> bool:
    """Tell a field's own name: somebody called `data` takes no document apart."""
    return not is_free and _FIELD.fullmatch(name) is not None
