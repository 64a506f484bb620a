"""Captures without people: stable pseudonyms for what is personal, signed anew.

The same value gets the same pseudonym in every place, under one key; so keys of one
reward stay the same in every capture, and templates and routes find what they look for.
Pure: no I/O, no clock. Whatever is not known to be harmless is replaced.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from string import ascii_lowercase, ascii_uppercase, digits

from bridge.model import Capture, Json
from bridge.privacy.masking import (
    FREE_FORM,
    VENDOR_ID,
    is_harmless,
    is_personal_number,
    map_leaves,
)
from bridge.text import parse_body

#: Names whose texts are looked for in those that are kept, too.
_PERSONAL_NAME = re.compile(
    r"name|email|mail|phone|source_?id|user_?id|code|tracking_id|line_?\d|street|city"
)
_FIELD = re.compile(r"[a-z_]+")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_URL = re.compile(r"[a-z]+://\S+")
#: Shorter values are part of many words by chance.
_LEAST = 4
_HOST = "example.org"
_SIGNATURES = frozenset({"x-voucherify-signature", "x-signature"})
#: Of the kept headers those that say nothing about a person.
_HARMLESS_HEADERS = ("content-encoding", "content-type", "user-agent")


class Pseudonymizer:
    """Replaces personal values by pseudonyms.

    Args:
        key: Makes the pseudonyms; its owner could try values out.
        sign: Makes the signature headers of a new body, for tests.
    """

    def __init__(self, key: bytes, sign: Callable[[bytes], Mapping[str, str]]) -> None:
        self._key = key
        self._sign = sign

    def capture(self, original: Capture) -> Capture:
        """Make a capture without people whose messages have the same shape."""
        body = self._body(original.body)
        kept = original.headers.keys() & _HARMLESS_HEADERS
        headers = {name: original.headers[name] for name in sorted(kept)}
        if not _SIGNATURES.isdisjoint(original.headers):
            headers |= self._sign(body)
        return replace(original, body=body, headers=headers)

    def text(self, value: str) -> str:
        """Make the pseudonym of one value."""
        mail, identifier = _MAIL.fullmatch(value), VENDOR_ID.fullmatch(value)
        if mail is not None:
            return f"{self._fake_like('a' * 12, value.strip().lower())}@{_HOST}"
        if _URL.fullmatch(value) is not None:
            return f"https://{_HOST}/{self._fake_like('a' * 12, value)}"
        if identifier is not None:
            return f"{identifier[1]}_{self._fake_like(identifier[2], value)}"
        return self._fake_like(value, value)

    def _body(self, body: bytes) -> bytes:
        document = parse_body(body)
        if isinstance(document, str):
            # A body that is not JSON stays so, and keeps its length and punctuation.
            text = body.decode("utf-8", "replace")
            return self._fake_like(text, text).encode()
        replaced: dict[str, str] = {}

        def leaf(value: Json, path: tuple[str, ...]) -> Json:
            if isinstance(value, str):
                return self._leaf(value, path, replaced)
            if isinstance(value, int | float) and is_personal_number(value, path):
                return type(value)(self._number(str(value)))
            return value

        made = map_leaves(document, leaf)
        # Longest first: a name may be part of another.
        order = sorted(replaced, key=lambda one: (-len(one), one))
        made = _without(made, {one: replaced[one] for one in order})
        return json.dumps(made, ensure_ascii=False, separators=(",", ":")).encode()

    def _leaf(self, value: str, path: tuple[str, ...], replaced: dict[str, str]) -> str:
        """Replace a text; collect what must not survive in those that are kept."""
        if not value.strip() or "{{" in value or is_harmless(value, path):
            return value
        made = self.text(value)
        name = path[-1] if path else ""
        if len(value) >= _LEAST and (
            _PERSONAL_NAME.search(name) or VENDOR_ID.fullmatch(value)
        ):
            replaced[value] = made
        return made

    def _number(self, text: str) -> str:
        mantissa, e, exponent = text.partition("e")
        # Sign and two digits: no mantissa leads out of what a float holds by these.
        return self._fake_like(mantissa, text) + e + exponent[:3]

    def _fake_like(self, shape: str, value: str) -> str:
        """Draw letters for letters and digits for digits, never the same text."""
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


def _without(
    value: Json, replaced: Mapping[str, str], *, is_free: bool = False
) -> Json:
    """Replace what must not survive in every text and name that contains it."""
    if isinstance(value, str):
        for original, made in replaced.items():
            value = value.replace(original, made)
    elif isinstance(value, list):
        value = [_without(one, replaced, is_free=is_free) for one in value]
    elif isinstance(value, dict):
        value = {
            name
            if _is_field(name, is_free=is_free)
            else _without(name, replaced): _without(
                one, replaced, is_free=is_free or name.lower() in FREE_FORM
            )
            for name, one in value.items()
        }
    return value


def _is_field(name: str, *, is_free: bool) -> bool:
    """Tell whether a name is a field's own: a person called `data` changes none."""
    return not is_free and _FIELD.fullmatch(name) is not None
