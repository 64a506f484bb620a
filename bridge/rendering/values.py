"""Values as templates have them, and the one way a value becomes JSON text."""

import json
from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final, NoReturn

from jinja2 import StrictUndefined, Undefined
from jinja2.utils import missing

from bridge.errors import BridgeError
from bridge.model import Json

#: Longest text that is worked on, and most items of a value.
MAX_SIZE = 100_000
#: Longest payload, in bytes: the most that integrations known to work send in one call.
MAX_OUTPUT = 4_000_000
#: Seconds one rendering may take; the shipped templates take a ten-thousandth of it.
DEADLINE = 2.0

EMPTY = "is empty; say `| optional` or `| default(…, true)` if that may be"


class Refusal(BridgeError):  # noqa: N818 - a rule, not a mistake of ours
    """A template asked for what it may not have.

    Every function of this package that works on values may raise it; `templates` makes
    a `RenderError` of it. The reason has nothing in it but words of the template's own
    text and of ours.
    """


@dataclass(slots=True)
class Run:
    """One rendering in progress."""

    #: The template's own text: only words of it are quoted in a reason.
    source: str
    context: dict[str, Json]
    ends_at: float = field(default_factory=lambda: monotonic() + DEADLINE)

    def owner(self, value: object) -> str | None:
        """Name an object of the context, to say that it lacks something."""
        return next((name for name, one in self.context.items() if one is value), None)

    def shown(self, word: object) -> str:
        """Quote a name if the template itself has it: else it may be an address."""
        text = str(word)
        return f"`{text}`" if text and text in self.source else "a computed name"


#: The rendering in progress in this thread or greenlet.
RUN: ContextVar[Run] = ContextVar("run")


def check_time() -> None:
    """Stop a rendering that takes too long."""
    if monotonic() > RUN.get().ends_at:
        raise Refusal(f"the template takes longer than {DEADLINE:.0f} s")


class JsonText(str):
    """Text that is JSON already: never encoded again.

    Only `encode`, macros and set blocks make one, so no value of a webhook can be one.
    """

    __slots__ = ()


class Empty:
    """An empty value that the template allows: `null`, or an empty text."""

    __slots__ = ("value",)

    def __init__(self, value: str | None) -> None:
        self.value: Final = value

    def __bool__(self) -> bool:
        return False

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __str__(self) -> str:
        return ""


class Missing(StrictUndefined):
    """What is not there: an error in every use, in the template's own words."""

    __slots__ = ()

    @property
    def is_field(self) -> bool:
        """Whether it is something an object lacks, not a name that nothing has."""
        return self._undefined_obj is not missing or self._undefined_name is None

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        run, owner = RUN.get(), self._undefined_obj
        if isinstance(owner, Missing):
            return owner._undefined_message  # noqa: SLF001 - its own class
        name = run.shown(self._undefined_name)
        if not self.is_field:
            return f"{name} is not defined"
        return f"{run.owner(owner) or kind(owner)} has no {name}"


class EmptyField(Missing):
    """A field that is there and is `null` or an empty text."""

    __slots__ = ()

    @property
    def value(self) -> Json:
        """The empty value itself."""
        return self._undefined_obj

    @property
    def _undefined_message(self) -> str:
        return f"the value {EMPTY}"

    # The strict class raises in all of these; an empty value can be asked for.
    def __bool__(self) -> bool:  # type: ignore[override]
        return False

    def __eq__(self, other: object) -> bool:  # type: ignore[override]
        if isinstance(other, EmptyField | Empty):
            return bool(self.value == other.value)
        return bool(self.value == other)

    def __ne__(self, other: object) -> bool:  # type: ignore[override]
        return not self == other

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(self.value)


def found(value: Any) -> Any:
    """Return a field of the data, so that an empty one is noticed when it is used."""
    return EmptyField(obj=value) if value is None or value == "" else value


_VIEWS = (Iterator, KeysView, ValuesView, ItemsView)


def _plain(value: object) -> object:
    if isinstance(value, Empty):
        return value.value
    raise TypeError


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
)


def encode(value: object) -> JsonText:
    """Write one value as JSON."""
    check_time()
    if isinstance(value, JsonText):
        return value
    if value is None or (isinstance(value, str) and not value):
        raise Refusal(f"the value {EMPTY}")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, _VIEWS):
        value = list(value)
    if not isinstance(value, str):
        _check(value)
    return JsonText(dumps(value))


def dumps(value: Json) -> str:
    """Write a value as compact JSON, with no rule about empty ones."""
    try:
        return _ENCODER.encode(value)
    except TypeError:
        raise Refusal(f"{kind(value)} is nothing that JSON has") from None
    except ValueError:
        raise Refusal("a number is not finite, or too long") from None


def _check(value: object) -> None:
    """Refuse what must not be in a value, and one that is huge once written out."""
    waiting, size = [value], 0
    while waiting:
        node = waiting.pop()
        size += 1
        if isinstance(node, dict):
            if not all(isinstance(key, str | int) for key in node):
                raise Refusal("a key of an object is empty, or no text")
            waiting += node.values()
        elif isinstance(node, list | tuple | range):
            waiting += node
        elif isinstance(node, Undefined):
            refuse_undefined(node)
        elif isinstance(node, JsonText):
            refuse_json()
        if size + len(waiting) > MAX_SIZE:
            raise Refusal(f"a value has more than {MAX_SIZE:,} items")


def word(value: object) -> str:
    """Return a value as part of a text, written as JSON would have it."""
    if isinstance(value, JsonText):
        refuse_json()
    if isinstance(value, Undefined):
        refuse_undefined(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str | int | float | Empty):
        return str(value)
    if value is None:
        raise Refusal(f"a part of a text {EMPTY}")
    raise Refusal(f"{kind(value)} cannot be part of a text: only texts and numbers can")


def join(values: list[object], between: str = "") -> str:
    """Make one text of several values."""
    check_time()
    made = between.join(word(value) for value in values)
    return within(made)


def within(text: str) -> str:
    """Return a text unless it is too long."""
    if len(text) > MAX_SIZE:
        raise Refusal(f"a text grows beyond {MAX_SIZE:,} characters")
    return text


def refuse_json() -> NoReturn:
    """Refuse JSON where a value is needed: it would be encoded a second time."""
    raise Refusal(
        "a macro, a set block and `tojson` give JSON, not a value to work with: "
        "use {% set name = … %}, or leave `tojson` out"
    )


def refuse_undefined(value: Undefined) -> NoReturn:
    """Raise what an undefined value has to say."""
    str(value)
    raise Refusal("an `if` without `else` came to nothing")


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, "a truth value"),
    ((int, float), "a number"),
    (str, "a text"),
    (dict, "an object"),
    ((list, tuple), "a list"),
)


def kind(value: object) -> str:
    """Say what a value is, without the value."""
    if value is None or isinstance(value, Empty | EmptyField):
        return "nothing"
    return next((name for types, name in _KINDS if isinstance(value, types)), "a value")
