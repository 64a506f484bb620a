"""Filters and tests: Jinja's own under guard, and the bridge's.

Left out of Jinja's own: what makes HTML of a value or vouches for it (`safe`,
`striptags`, `urlize`, `xmlattr`), what prints Python (`pprint`), and what gives
another payload each time (`random`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any

from jinja2 import pass_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import Context
from jinja2.tests import TESTS as DEFAULT_TESTS

from bridge.rendering.budget import EMPTY, Refusal, spend, weigh, within
from bridge.rendering.formats import iterable_date, money
from bridge.rendering.payload import passthrough
from bridge.rendering.values import (
    Empty,
    JsonText,
    MadeList,
    encode,
    kind,
    optional,
    refuse_json,
    word,
)

Function = Callable[..., Any]

LEFT_OUT = frozenset({"pprint", "random", "safe", "striptags", "urlize", "xmlattr"})
#: These decide what becomes of an absent value, so they get to see it.
_ON_ABSENT = frozenset({"default", "d"})
#: What they make can be as long as the value times the arguments.
_GROWING = frozenset(
    {"batch", "center", "indent", "replace", "round", "slice", "wordwrap"}
)
#: Python would write an object or a list out for them, its way.
_ON_TEXT = frozenset(
    {
        *("capitalize", "center", "e", "escape", "forceescape", "format", "indent"),
        *("lower", "replace", "string", "title", "trim", "truncate", "upper"),
        *("wordcount", "wordwrap"),
    }
)
#: They would make 0 of an empty text.
_ON_NUMBERS = frozenset({"int", "float"})
#: They make a list of their own.
_LISTING = frozenset({"dictsort", "groupby", "list", "sort"})
#: Characters times arguments; a step buys some thousand of them.
_GROWTH, _GROWTH_STEP = 2_000_000, 1_000
#: Longest width or precision in a format.
_WIDTH = 999
_WIDE = re.compile(rf"\*|\d{{{len(str(_WIDTH)) + 1}}}")


def filters() -> dict[str, Function]:
    """Return every filter a template may name."""
    own = {
        name: _guarded(name, function)
        for name, function in DEFAULT_FILTERS.items()
        if name not in LEFT_OUT
    }
    ours: dict[str, Function] = {
        "format": printf,
        "iterable_date": _guarded("iterable_date", iterable_date),
        "money": _guarded("money", money),
        "join": join,
        "passthrough": passthrough,
        "sum": total,
    }
    return own | ours | {"optional": optional, "tojson": tojson}


def tests() -> dict[str, Function]:
    """Return every test a template may name."""
    known: Mapping[str, Any] = DEFAULT_TESTS
    return {name: _weighed(name, function) for name, function in known.items()}


def tojson(value: object, indent: int | None = None) -> JsonText:
    """Write a value as JSON, as every expression is anyway.

    Args:
        value: Any value that is not empty.
        indent: Known to Jinja's own; the payload is sent compact whatever it says.
    """
    del indent
    return JsonText(encode(value))


def printf(format_: object, *args: object, **kwargs: object) -> str:
    """Put values into a text with `%s`, `%d`, `%.2f`.

    Raises:
        Refusal: A width or precision is beyond 999 or computed, or a value is empty.
    """
    values: list[object] = [*args, *kwargs.values()]
    if not isinstance(format_, str) or isinstance(format_, JsonText):
        raise Refusal("a format must be a text")
    reach = weigh(format_) + sum(weigh(word(value)) for value in values)
    if _WIDE.search(format_):
        raise Refusal(f"a width in a format is beyond {_WIDTH}, or computed")
    if format_.count("%") * (_WIDTH + reach) > _GROWTH:
        raise Refusal("a format would make too long a text")
    made = format_ % (kwargs or args)
    weigh(made)
    return made


@pass_context
def total(
    context: Context, values: object, attribute: object = None, start: object = 0
) -> object:
    """Add numbers up; adding lists up is how a small template makes a big one.

    Raises:
        Refusal: Something in it is no number.
    """
    items = [start, *_items(context, values, attribute)]
    numbers = [one for one in items if isinstance(one, int | float)]
    if len(numbers) < len(items):
        raise Refusal("`sum` adds numbers only")
    return sum(numbers)


@pass_context
def join(
    context: Context, values: object, d: object = "", attribute: object = None
) -> str:
    """Put values into one text, with another between them.

    Raises:
        Refusal: A value is empty, or the text becomes too long.
    """
    words, between = [word(one) for one in _items(context, values, attribute)], word(d)
    within(sum(map(len, words)) + len(words) * len(between))
    return between.join(words)


def _items(context: Context, values: object, attribute: object) -> Sequence[object]:
    if attribute is not None:
        by = {"attribute": attribute}
        values = context.environment.call_filter("map", values, [], by, context)
    weigh(values)
    if not isinstance(values, list | tuple | range):
        raise Refusal(f"a list is needed, and this is {kind(values)}")
    return values


def _guarded(name: str, function: Function) -> Function:
    """Refuse a filter what it would do to an absent, a huge or an unfit value."""
    position = _position(function)

    @wraps(function)
    def guarded(*args: object, **kwargs: object) -> object:
        value, rest = args[position], (*args[position + 1 :], *kwargs.values())
        if name in _ON_ABSENT:
            return function(*args, **kwargs)
        if isinstance(value, Empty):
            return value
        _refuse_unfit(name, value)
        growth = weigh(value) * (1 + sum(_reach(name, one) for one in rest))
        if name in _GROWING:
            _refuse_growth(growth)
        return _settled(name, function(*args, **kwargs))

    return guarded


def _position(function: Function) -> int:
    """Tell which argument is the value: some filters get Jinja's context before it."""
    return 0 if getattr(function, "jinja_pass_arg", None) is None else 1


def _refuse_unfit(name: str, value: object) -> None:
    if value is None or (value == "" and name in _ON_NUMBERS):
        raise Refusal(f"the value before `{name}` {EMPTY}")
    if isinstance(value, JsonText):
        refuse_json()
    if name in _ON_TEXT:
        word(value)
    if name == "urlencode" and isinstance(value, dict) and None in value.values():
        raise Refusal(f"a value before `urlencode` {EMPTY}")


def _reach(name: str, argument: object) -> int:
    size = weigh(argument)
    if name in _GROWING and isinstance(argument, int):
        return abs(argument)
    return size


def _refuse_growth(size: int) -> None:
    if size > _GROWTH:
        raise Refusal("a filter would make too long a text or list")
    spend(size // _GROWTH_STEP)


def _settled(name: str, made: Any) -> Any:
    """Measure what a filter made; a generator would be measured by nobody."""
    if isinstance(made, str):
        weigh(made)
    elif isinstance(made, Iterator) or name in _LISTING:
        return MadeList(made)
    return made


#: Jinja writes these three with `%`, which formats where the value is a text.
_ARITHMETIC = frozenset({"odd", "even", "divisibleby"})
_ON_UNDEFINED = frozenset({"defined", "undefined"})


def _weighed(name: str, function: Function) -> Function:
    position = _position(function)

    @wraps(function)
    def weighed(*args: object, **kwargs: object) -> object:
        if name not in _ON_UNDEFINED:
            for value in (*args[position:], *kwargs.values()):
                weigh(value)
        if name in _ARITHMETIC and not isinstance(args[position], int):
            raise Refusal(f"`{name}` is for whole numbers")
        return function(*args, **kwargs)

    return weighed
