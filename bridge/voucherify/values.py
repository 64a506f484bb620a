"""Which values stand for nothing, and which can serve as an id or a code."""

from collections.abc import Mapping
from types import MappingProxyType

from bridge.model import Json

#: What the payload designer may leave where a value was missing: nobody documents
#: which, so all of them count as absent.
_NOTHING = frozenset({"", "null", "undefined", "None"})
#: Longest id or code taken, in bytes of UTF-8: several make one key, and what a
#: database can index has a limit.
MAX_LENGTH = 255
_EMPTY: Mapping[str, Json] = MappingProxyType({})


def is_absent(value: Json) -> bool:
    """Tell whether an identity or code field holds nothing usable as such."""
    if value is None:
        return True
    if not isinstance(value, str):
        return False
    return value.strip() in _NOTHING or ("{{" in value and "}}" in value)


def is_placeholder(value: Json) -> bool:
    """Tell whether a text is nothing but an unresolved `{{…}}`."""
    if not isinstance(value, str):
        return False
    text = value.strip()
    return text.startswith("{{") and text.endswith("}}")


def present(value: Json) -> Json:
    """Return the value as sent, None where it stands for nothing."""
    return None if is_absent(value) else value


def identifier(value: Json) -> str | None:
    """Read an id or a code: opaque, printable, of bounded length; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    # Neither NUL nor half a character can be stored in a text column everywhere.
    if not isinstance(value, str) or not value.isprintable() or is_absent(value):
        return None
    return value if len(value.encode()) <= MAX_LENGTH else None


def member(owner: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    """Return a member that is an object, else an empty one."""
    value = owner.get(name)
    return value if isinstance(value, dict) else _EMPTY
