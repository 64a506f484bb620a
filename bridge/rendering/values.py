"""Values as templates have them, and the one way a value becomes JSON text."""

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from json.encoder import encode_basestring
from typing import Final, NoReturn

from jinja2 import StrictUndefined, Undefined
from jinja2.utils import missing

from bridge.model import Json
from bridge.rendering.budget import (
    EMPTY,
    MAX_OUTPUT,
    Refusal,
    current,
    descend,
    refuse_undefined,
    spend,
    spend_text,
    within,
)


class JsonText(str):
    """Text that is JSON already: never encoded again.

    Only the encoder and joined output make one, so no value of a webhook can be one.
    """

    __slots__ = ()


class Empty:
    """An empty value that the template allows: `null`, or an empty text."""

    __slots__ = ("json", "value")

    def __init__(self, value: str | None, json: str) -> None:
        self.value: Final = value
        self.json: Final = json

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __str__(self) -> str:
        return ""


NULL = Empty(None, "null")
BLANK = Empty("", '""')


class MadeList(list[object]):
    """A list the template made: an empty value in it is the template's accident."""


class MadeDict(dict[object, object]):
    """An object the template made: an empty value in it is the template's accident."""


_VIEWS = (Iterator, KeysView, ValuesView, ItemsView)


def _plain(value: object) -> object:
    if isinstance(value, Empty):
        return value.value
    raise TypeError


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
)


def encode(value: object) -> str:
    """Write one value as JSON.

    Raises:
        Refusal: It is empty, too large, or nothing that JSON has.
        UndefinedError: It is undefined, or something in it is.
    """
    if isinstance(value, str):
        spend_text(within(len(value), MAX_OUTPUT))
        if isinstance(value, JsonText):
            return value
        if not value:
            raise Refusal(f"the value {EMPTY}")
        return encode_basestring(value)
    if value is None:
        raise Refusal(f"the value {EMPTY}")
    if isinstance(value, Empty):
        spend(1)
        return value.json
    value = listed(value)
    for holder, node in descend(value):
        _check(holder, node)
    return _written(value)


def dumps(value: Json) -> str:
    """Write a value as compact JSON, with no rule about empty ones.

    Raises:
        ValueError: A number is not finite.
    """
    return _ENCODER.encode(value)


def _written(value: object) -> str:
    try:
        return _ENCODER.encode(value)
    except TypeError:
        raise Refusal(f"{kind(value)} is nothing that JSON has") from None
    except ValueError:
        raise Refusal("a number is not finite, or too long") from None


def _check(holder: object, node: object) -> None:
    if isinstance(holder, MadeList | MadeDict | tuple) and (node is None or node == ""):
        raise Refusal(f"a value in {kind(holder)} {EMPTY}")
    if isinstance(node, MadeDict):
        for key in node:
            if not isinstance(key, str | int) or key == "":
                raise Refusal("a key of an object is empty, or no text")
    if holder is not None and isinstance(node, JsonText):
        refuse_json()


def refuse_json() -> NoReturn:
    """Refuse JSON where a value is needed: it would be encoded a second time.

    Raises:
        Refusal: Always.
    """
    raise Refusal(
        "a macro, a set block and `tojson` give JSON, not a value to work with: "
        "use {% set name = … %}, or leave `tojson` out"
    )


def word(value: object) -> str:
    """Return a value as part of a text.

    Raises:
        Refusal: It is empty, or Python would write it out its own way.
        UndefinedError: It is undefined.
    """
    if isinstance(value, JsonText):
        refuse_json()
    if isinstance(value, str | int | float | Empty):
        return str(value)
    if isinstance(value, Undefined):
        refuse_undefined(value)
    if value is None:
        raise Refusal(f"a part of a text {EMPTY}")
    raise Refusal(f"{kind(value)} cannot be part of a text: only texts and numbers can")


def listed(value: object) -> object:
    """Turn what can be walked only once, or only looked at, into a list."""
    return MadeList(value) if isinstance(value, _VIEWS) else value


def optional(value: object) -> object:
    """Allow a value to be empty: `null` or `""` is sent then.

    A field that a webhook's object does not have is `null` too: the sender leaves out
    what it does not know. A misspelt name at the top is still an error.
    """
    if value is None or (isinstance(value, Missing) and value.is_field):
        return NULL
    if isinstance(value, Undefined):
        refuse_undefined(value)
    if isinstance(value, str) and not isinstance(value, JsonText):
        return value or BLANK
    if isinstance(value, MadeDict):
        return dict(value)
    return list(value) if isinstance(value, MadeList) else value


class Missing(StrictUndefined):
    """Strict in every use, and its message quotes only the template's own words."""

    __slots__ = ()

    @property
    def is_field(self) -> bool:
        """Whether it is something an object lacks, not a name that nothing has."""
        return self._undefined_obj is not missing or self._undefined_name is None

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        run = current()
        name = run.shown(self._undefined_name)
        if not self.is_field:
            return f"{name} is not defined"
        owner = run.owner(self._undefined_obj) or kind(self._undefined_obj)
        return f"{owner} has no {name}"


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a truth value"),
    ((int, float), "a number"),
    (str, "a text"),
    (dict, "an object"),
    ((list, tuple), "a list"),
)


def kind(value: object) -> str:
    """Say what a value is, without the value."""
    if value is None or isinstance(value, Empty):
        return "nothing"
    return next((name for types, name in _KINDS if isinstance(value, types)), "a value")
