"""What is hidden until somebody asks: codes, e-mail addresses, names, phone numbers.

A page collects what is personal in the webhook it shows, and hides it wherever it
stands: in the body, in payloads made of it, in reasons.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator

from flask import session

from bridge.model import Json
from bridge.steering.legible import document, harmless
from bridge.store import DeliveryRow

#: Seconds for which what is personal is shown after somebody asked for it.
SHOWN_FOR = 15 * 60
_KEPT = 2
_DOTS = "••••"
#: Stands for a body in which names have no keys.
_UNTOLD = f"{_DOTS} (no JSON that can be read: nothing tells what is personal in it)"
#: Shorter values are too common a word to be looked for in others.
_LEAST = 3
_UNTIL = "shown_until"
#: Words in a key whose value is about a person, or is a code.
_PERSONAL = frozenset(
    (
        *("code", "codes", "coupon", "coupons", "name", "names", "firstname"),
        *("lastname", "fullname", "surname", "nickname", "email", "mail", "phone"),
        *("mobile", "address", "street", "line", "city", "postal", "postcode", "zip"),
        *("birth", "birthday", "birthdate"),
    )
)
#: Words beside them that say it is about something else.
_OTHER = frozenset(
    (
        *("campaign", "product", "event", "route", "source", "country", "currency"),
        *("status", "category", "tier", "template", "pattern", "config", "error"),
        *("channel", "publication", "sku", "order", "item", "items", "validation"),
        *("reward", "redemption", "loyalty", "referral"),
    )
)
#: A key's words: `couponCode` and `coupon_code` have the same.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_ADDRESS = re.compile(r"[^\s\"'<>,;:()\[\]]{1,64}@[^\s\"'<>,;:()\[\]]{1,255}")


def is_shown() -> bool:
    """Tell whether somebody asked for personal data, a short while ago."""
    return bool(session.get(_UNTIL, 0) > time.time())


def show_for_a_while() -> None:
    """Show personal data to this session for a quarter of an hour."""
    session[_UNTIL] = int(time.time()) + SHOWN_FOR


def hide_again() -> None:
    """Hide personal data at once."""
    session.pop(_UNTIL, None)


def masked(value: str) -> str:
    """Hide a value but for its beginning."""
    if len(value) <= _KEPT + 1:
        return _DOTS
    return harmless(value[:_KEPT]) + _DOTS


class Veil:
    """Hides what is personal, or lets everything through.

    Args:
        values: Personal values, to be hidden wherever they stand.
        lifted: True where somebody asked to see them.
    """

    def __init__(self, values: Iterable[str] = (), *, lifted: bool) -> None:
        self._lifted = lifted
        found = {value for value in values if len(value) >= _LEAST}
        # The longest first: one may hold another.
        ordered = sorted(found, key=len, reverse=True)
        either = "|".join(map(re.escape, ordered))
        self._known = re.compile(rf"(?<!\w)(?:{either})(?!\w)") if found else None

    def code(self, value: str | None) -> str:
        """Write codes; several are separated by commas."""
        if not value:
            return ""
        if self._lifted:
            return harmless(value)
        return ", ".join(masked(one) for one in value.split(", "))

    def text(self, value: str | None) -> str:
        """Write a text in which personal values and addresses may stand."""
        if not value:
            return ""
        if self._lifted:
            return harmless(value)
        if self._known is not None:
            value = self._known.sub(lambda found: masked(found[0]), value)
        if "@" in value:
            value = _ADDRESS.sub(lambda found: _address(found[0]), value)
        return harmless(value)

    def body(self, body: bytes) -> str:
        """Write a body over several lines."""
        shown = document(body)
        if isinstance(shown, str):
            return self.text(shown) if self._lifted or not shown else _UNTOLD
        if not self._lifted:
            self._hide(shown)
        lines = json.dumps(shown, indent=2, ensure_ascii=False).split("\n")
        return "\n".join(map(harmless, lines))

    def _hide(self, whole: Json) -> None:
        """Hide what is personal in a document, which is changed."""
        for value, key, parent in _descend(whole):
            if isinstance(value, dict):
                shown = [
                    (self.text(name), self._shown(one, name, key))
                    for name, one in value.items()
                ]
                value.clear()
                value.update(shown)
            elif isinstance(value, list):
                value[:] = [self._shown(one, key, parent) for one in value]

    def _shown(self, value: Json, key: str, parent: str) -> Json:
        if not isinstance(value, str):
            return value
        is_hidden = bool(value) and _is_personal(key, parent)
        return masked(value) if is_hidden else self.text(value)


def personal_in(body: bytes) -> Iterator[str]:
    """List the personal values of a webhook."""
    shown = document(body)
    if not isinstance(shown, str):
        yield from _personal(shown)


def personal_of(row: DeliveryRow) -> Iterator[str]:
    """List the personal values that the ledger itself keeps."""
    yield from row.code.split(", ")
    if "@" in row.recipient:
        yield row.recipient


def _personal(whole: Json) -> Iterator[str]:
    for value, key, parent in _descend(whole):
        if isinstance(value, str) and _is_personal(key, parent):
            # A template may greet by the first name alone.
            yield from (value, *value.split())


def _descend(whole: Json) -> Iterator[tuple[Json, str, str]]:
    """Walk a document as (value, its key, the key above it), however deep it is.

    What is in a value is listed before the value is handed out, to be changed perhaps.
    """
    waiting: list[tuple[Json, str, str]] = [(whole, "", "")]
    while waiting:
        value, key, parent = waiting.pop()
        if isinstance(value, dict):
            waiting += [(one, name, key) for name, one in value.items()]
        elif isinstance(value, list):
            waiting += [(one, key, parent) for one in value]
        yield value, key, parent


def _is_personal(key: str, parent: str) -> bool:
    words = {word.lower() for word in _WORD.findall(key)}
    if not words & _PERSONAL or words & _OTHER:
        return False
    # A campaign's `name` is nobody's.
    above = {word.lower() for word in _WORD.findall(parent)}
    return "name" not in words or not above & _OTHER


def _address(address: str) -> str:
    return f"{address[:1]}{_DOTS}@{_DOTS}"
