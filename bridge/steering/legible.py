"""What strangers sent, written so that people can read it and nothing obeys it."""

import json
from datetime import datetime
from typing import Any


def harmless(text: str) -> str:
    """Write a text on one line, escape sequences and line ends spelled out."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode()
        for one in text
    )


def moment(value: datetime) -> str:
    """Write a time, UTC, to the second."""
    return f"{value:%Y-%m-%d %H:%M:%S}Z"


def document(body: bytes) -> Any:
    """Read a body for showing: its JSON, or its text where that cannot be written."""
    written = body.decode("utf-8", "backslashreplace")
    try:
        found = json.loads(written, parse_constant=_refuse)
        # What is nested deeply may be readable and yet not writable.
        json.dumps(found, indent=2)
    except (ValueError, RecursionError):
        return written
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def pretty(body: bytes) -> str:
    """Write a body over several lines for people to read."""
    shown = document(body)
    if isinstance(shown, str):
        return harmless(shown)
    # Escaped, because control characters above U+007F are no matter to JSON.
    lines = json.dumps(shown, indent=2, ensure_ascii=False).split("\n")
    return "\n".join(harmless(line) for line in lines)
