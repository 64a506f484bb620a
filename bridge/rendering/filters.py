"""Filters and tests of templates: the bridge's own, and Jinja's under guard.

Left out of Jinja's own: what makes HTML of a value or vouches for it (`safe`,
`striptags`, `urlize`, `xmlattr`), what prints Python (`pprint`), and what gives another
payload each time (`random`).
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import Any

from jinja2 import Undefined, pass_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import Context
from jinja2.tests import TESTS as DEFAULT_TESTS

from bridge.rendering import formats
from bridge.rendering.values import (
    EMPTY,
    MAX_SIZE,
    Empty,
    EmptyField,
    JsonText,
    Missing,
    Refusal,
    check_time,
    dumps,
    encode,
    join,
    kind,
    refuse_json,
    refuse_undefined,
    within,
    word,
)

Function = Callable[..., Any]

LEFT_OUT = frozenset({"pprint", "random", "safe", "striptags", "urlize", "xmlattr"})
_ON_TEXT = frozenset(
    {
        *("capitalize", "center", "e", "escape", "forceescape", "indent", "lower"),
        *("replace", "string", "title", "trim", "truncate", "upper", "wordcount"),
        "wordwrap",
    }
)
#: Largest number a filter takes, as a width or a count.
_WIDTH = 1_000
_WIDE = re.compile(r"\*|\d{4}")


def filters() -> dict[str, Function]:
    """Return every filter a template may name."""
    known = {name: one for name, one in DEFAULT_FILTERS.items() if name not in LEFT_OUT}
    guarded = {name: _guarded(name, one) for name, one in {**known, **OWN}.items()}
    on_absent = {"d": default, "default": default, "optional": optional}
    return guarded | on_absent | {"passthrough": passthrough, "tojson": encode}


def tests() -> dict[str, Function]:
    """Return every test a template may name."""
    own: dict[str, Function] = {
        "defined": lambda value: (
            isinstance(value, EmptyField) or not isinstance(value, Undefined)
        ),
        "undefined": lambda value: (
            isinstance(value, Undefined) and not isinstance(value, EmptyField)
        ),
        "none": _is_none,
    }
    known: Mapping[str, Any] = DEFAULT_TESTS
    return {**known, **own}


def _is_none(value: object) -> bool:
    if isinstance(value, Empty | EmptyField):
        return value.value is None
    if isinstance(value, Undefined):
        refuse_undefined(value)
    return value is None


def optional(value: object) -> object:
    """Allow a value to be empty: `null` or `""` is sent then.

    A field that a webhook's object does not have is `null` too: the sender leaves out
    what it does not know. A misspelt name at the top is still an error.
    """
    if isinstance(value, EmptyField):
        return Empty(value.value)
    if value is None or (isinstance(value, Missing) and value.is_field):
        return Empty(None)
    if isinstance(value, Undefined):
        refuse_undefined(value)
    if isinstance(value, dict):
        return {key: _inner(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_inner(one) for one in value]
    return value if value != "" else Empty("")


def _inner(value: object) -> object:
    return optional(value) if isinstance(value, Undefined) else value


def default(value: object, instead: object = "", boolean: bool = False) -> object:
    """Replace what is not there; with `true`, what is empty as well."""
    if isinstance(value, EmptyField):
        return instead if boolean else value
    if isinstance(value, Undefined) or (boolean and not value):
        return instead
    return value


def passthrough(body: object) -> JsonText:
    """Hand on a request as a webhook brought it, empty values included.

    Which of its keys are sent, and to whom, is the destination's rule for raw bodies.
    """
    if not isinstance(body, dict):
        raise Refusal("`passthrough` needs an object: `body` of a raw webhook")
    return JsonText(dumps(body))


def printf(format_: object, *args: object, **kwargs: object) -> str:
    """Put values into a text with `%s`, `%d`, `%.2f`."""
    if not isinstance(format_, str) or isinstance(format_, JsonText):
        raise Refusal("a format must be a text")
    if _WIDE.search(format_):
        raise Refusal("a width in a format is beyond 999, or computed")
    for value in (*args, *kwargs.values()):
        word(value)
    return within(format_ % (kwargs or args))


@pass_context
def joined(
    context: Context, values: object, d: object = "", attribute: object = None
) -> str:
    """Put values into one text, with another between them."""
    if attribute is not None:
        by = {"attribute": attribute}
        values = context.environment.call_filter("map", values, [], by, context)
    if not isinstance(values, Iterable) or isinstance(values, str | dict):
        raise Refusal(f"a list is needed, and this is {kind(values)}")
    return join(list(values), word(d))


#: Filters of our own that refuse empty values as Jinja's do.
OWN: Mapping[str, Function] = {
    "date": formats.date,
    "float": formats.to_float,
    "format": printf,
    "int": formats.to_int,
    "iterable_date": formats.iterable_date,
    "join": joined,
    "money": formats.money,
    "number": formats.number,
}


def _guarded(name: str, function: Function) -> Function:
    """Refuse a filter what it would do to an empty, a huge or an unfit value."""
    # Some filters get Jinja's context before the value.
    position = 0 if getattr(function, "jinja_pass_arg", None) is None else 1

    @wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        check_time()
        value, rest = args[position], (*args[position + 1 :], *kwargs.values())
        if isinstance(value, Empty):
            return value
        _refuse_unfit(name, value, rest)
        made = function(*args, **kwargs)
        if isinstance(made, Iterator):
            made = list(made)
        if isinstance(made, str | list) and len(made) > MAX_SIZE:
            raise Refusal(f"`{name}` makes a text or list longer than {MAX_SIZE:,}")
        return made

    return guarded


def _refuse_unfit(name: str, value: object, rest: tuple[object, ...]) -> None:
    if value is None or isinstance(value, EmptyField):
        raise Refusal(f"the value before `{name}` {EMPTY}")
    if isinstance(value, Undefined):
        refuse_undefined(value)
    if isinstance(value, JsonText):
        refuse_json()
    if name in _ON_TEXT:
        word(value)
    if name not in OWN and any(isinstance(x, int) and abs(x) > _WIDTH for x in rest):
        raise Refusal(f"a number given to `{name}` is beyond {_WIDTH:,}")
