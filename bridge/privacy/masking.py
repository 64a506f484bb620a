"""What is personal in a webhook, and pages that hide it until somebody asks.

Whatever is not listed here as harmless is personal. A page collects the personal values
of the webhook it shows, and hides their words in every other text: payloads, reasons,
keys. Work is linear in what is shown.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from bridge.model import Delivery, Json
from bridge.text import format_document, parse_body, printable

#: Names whose texts say what something is, not whose.
_HARMLESS_NAMES = frozenset(
    {
        *("type", "object", "status", "state", "category", "result", "effect", "mode"),
        *("event", "channel", "data_ref", "related_object_type", "currency"),
        *("campaign", "campaign_id", "campaignid", "campaign_type", "unit_type"),
        *("voucher_type", "related_object", "source_type", "content_type", "endpoint"),
    }
)
#: Below these everything is personal, numbers and dates included.
FREE_FORM = frozenset({"metadata", "address", "customer_metadata"})
_PERSONAL_NUMBER = re.compile(
    r".*(source_?id|user_?id|phone|mobile|tel|msisdn|cell|contact|zip|post(al)?_?code"
    r"|birth|dob|coupon|voucher|promo|code|card)[a-z_]*"
)
_COUNTED = re.compile(r".*(count|quantity|limit|redeemed|total|amount|status_?code)")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ][\d:. ]+(Z|[+-]\d\d:?\d\d)?)?")
_CAMPAIGN_ID = re.compile(r"camp_[A-Za-z0-9]+")
#: Ids of a vendor's objects: they name no person, but a pseudonym replaces them too.
VENDOR_ID = re.compile(r"([a-z]+)_([A-Za-z0-9+/=]{6,})")
#: Objects whose `name` is not a person's.
_NAMED_THINGS = frozenset(
    {"campaign", "reward", "product", "sku", "tier", "promotion", "validation_rule"}
)

_DOTS = "••••"
_KEPT = 2
#: In place of a body in which names have no keys.
_NO_JSON = f"{_DOTS} (not JSON that can be read, so all of it is hidden)"
#: Longer bodies are cut: a page is for reading.
MAX_SHOWN = 200_000
#: Shorter words are too common to be looked for in other texts.
_LEAST = 3
#: Most words looked for; a page with more values hides the rest of its texts' digits.
_MAX_WORDS = 20_000
_TOKEN = re.compile(r"[\w.+\-]+(?:@[\w.\-]+)?")
_WORD = re.compile(r"\w+")
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,255}")


def is_harmless(value: str, path: Sequence[str]) -> bool:
    """Tell whether a text names no person and is no code.

    Args:
        value: The text.
        path: Names from the document's root to it, in lower case.
    """
    name = path[-1] if path else ""
    if not FREE_FORM.isdisjoint(path) or name.startswith(("birth", "dob")):
        return False
    is_campaign_name = tuple(path[-2:]) == ("campaign", "name")
    if name in _HARMLESS_NAMES or is_campaign_name:
        return True
    return any(form.fullmatch(value) for form in (_DATE, _CAMPAIGN_ID))


def is_shown(value: str, path: Sequence[str]) -> bool:
    """Tell whether a masked page may show a text: harmless, an id or a title."""
    if is_harmless(value, path):
        return True
    if not FREE_FORM.isdisjoint(path):
        return False
    name = path[-1] if path else ""
    is_title = name == "name" and len(path) > 1 and path[-2] in _NAMED_THINGS
    is_id = name == "id" or name.endswith(("_id", "ids"))
    return is_title or (is_id and VENDOR_ID.fullmatch(value) is not None)


def is_personal_number(value: Json, path: Sequence[str]) -> bool:
    """Tell whether a value is a number that names somebody or is a code."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    if not FREE_FORM.isdisjoint(path):
        return True
    name = path[-1] if path else ""
    is_counted = _COUNTED.fullmatch(name) is not None
    return not is_counted and _PERSONAL_NUMBER.fullmatch(name) is not None


def map_leaves(
    value: Json,
    leaf: Callable[[Json, tuple[str, ...]], Json],
    path: tuple[str, ...] = (),
    *,
    name: Callable[[str], str] = str,
) -> Json:
    """Make a copy of a document with other leaves.

    Args:
        value: The document.
        leaf: Makes the new leaf of the old one and its path: the names from the
            document's root to it, in lower case.
        path: Of `value` itself.
        name: Makes the new names of the old ones.
    """
    if isinstance(value, dict):
        return {
            name(key): map_leaves(one, leaf, (*path, key.lower()), name=name)
            for key, one in value.items()
        }
    if isinstance(value, list):
        return [map_leaves(one, leaf, path, name=name) for one in value]
    return leaf(value, path)


def mask(value: str) -> str:
    """Hide a value but for its first two characters."""
    if len(value) <= _KEPT + 1:
        return _DOTS
    return printable(value[:_KEPT]) + _DOTS


class Redactor:
    """Hides personal values, or shows everything.

    Args:
        values: Personal values, to be hidden in every text.
        revealed: True where the operator asked to see them.
    """

    def __init__(self, values: Iterable[str] = (), *, revealed: bool) -> None:
        self.revealed = revealed
        self._words: set[str] = set()
        if not revealed:
            for value in values:
                if len(self._words) >= _MAX_WORDS:
                    break
                self._words |= {one for one in _words(value) if len(one) >= _LEAST}

    def code(self, value: str | None) -> str:
        """Write codes; several are separated by commas."""
        if not value:
            return ""
        if self.revealed:
            return printable(value)
        return ", ".join(mask(one) for one in value.split(", "))

    def person(self, value: str | None) -> str:
        """Write a recipient or customer id: an address is masked, an id is shown."""
        if not value:
            return ""
        if self.revealed or "@" not in value:
            return printable(value)
        return _address(value)

    def text(self, value: str | None) -> str:
        """Write a text that may contain personal values and addresses."""
        if not value:
            return ""
        if self.revealed:
            return printable(value)
        return printable(_TOKEN.sub(self._token, value))

    def body(self, body: bytes) -> str:
        """Write a body over several lines."""
        shown = parse_body(body)
        if isinstance(shown, str):
            return self.text(shown) if self.revealed or not shown else _NO_JSON
        text = format_document(shown if self.revealed else self.document(shown))
        if len(text) > MAX_SHOWN:
            rest = len(text) - MAX_SHOWN
            text = f"{text[:MAX_SHOWN]}\n… {rest:,} more characters"
        return text

    def document(self, document: Json, path: tuple[str, ...] = ()) -> Json:
        """Make a copy of a JSON document with personal values masked."""
        if self.revealed:
            return document
        return map_leaves(document, self._leaf, path, name=self.text)

    def _leaf(self, value: Json, path: tuple[str, ...]) -> Json:
        if isinstance(value, str):
            return self.text(value) if is_shown(value, path) else mask(value)
        return _DOTS if is_personal_number(value, path) else value

    def _token(self, found: re.Match[str]) -> str:
        token = found[0]
        if token in self._words:
            return mask(token)
        if _ADDRESS.fullmatch(token):
            return _address(token)
        if self._words.isdisjoint(_WORD.findall(token)):
            return token
        return _WORD.sub(
            lambda one: mask(one[0]) if one[0] in self._words else one[0], token
        )


def personal_values(body: bytes) -> list[str]:
    """List the personal values of a webhook."""
    found: list[str] = []

    def note(value: Json, path: tuple[str, ...]) -> Json:
        is_text = isinstance(value, str) and value and not is_shown(value, path)
        if is_text or is_personal_number(value, path):
            found.append(str(value))
        return None

    document = parse_body(body)
    if not isinstance(document, str):
        map_leaves(document, note)
    return found


def values_of(delivery: Delivery) -> Iterator[str]:
    """List the personal values that the ledger itself keeps of a delivery."""
    yield from delivery.code.split(", ")
    if "@" in delivery.recipient:
        yield delivery.recipient


def _words(value: str) -> Iterator[str]:
    # A template may greet by the first name alone.
    yield value
    yield from _TOKEN.findall(value)
    yield from _WORD.findall(value)


def _address(address: str) -> str:
    return f"{printable(address[:1])}{_DOTS}@{_DOTS}"
