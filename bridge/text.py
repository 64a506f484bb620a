"""Untrusted text, written for people so that no terminal or page obeys it."""

import json
import unicodedata
from datetime import datetime
from typing import NoReturn

from bridge.model import Json

#: Deepest nesting of a document that is shown as one.
MAX_DEPTH = 100
#: Categories of characters that act instead of being shown: control and format
#: characters (among them those that turn the direction of writing), surrogates.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    """Write a text on one line, with escape sequences and line ends spelled out."""
    if text.isprintable():
        return text
    return "".join(
        one.encode("unicode_escape").decode()
        if not one.isprintable() and unicodedata.category(one) in _ACTING
        else one
        for one in text
    )


def format_time(value: datetime) -> str:
    """Write a time, UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}Z"


def parse_body(body: bytes) -> Json:
    """Read a body for showing: its JSON, or its text where that cannot be written."""
    written = body.decode("utf-8", "backslashreplace")
    try:
        found = json.loads(written, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return written
    return written if _is_too_deep(found) else found


def format_document(document: Json) -> str:
    """Write a JSON document over several lines."""
    # Escaped, because JSON leaves control characters above U+007F as they are.
    lines = json.dumps(document, indent=2, ensure_ascii=False).split("\n")
    return "\n".join(map(printable, lines))


def format_body(body: bytes) -> str:
    """Write a body over several lines."""
    shown = parse_body(body)
    return printable(shown) if isinstance(shown, str) else format_document(shown)


def pluralize(count: int, one: str, many: str) -> str:
    """Write a number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def _is_too_deep(document: Json) -> bool:
    """Tell whether a document is nested so deeply that a walk through it would fail."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
