"""The template language: Jinja's sandbox, narrowed to what JSON values need.

References:
    Jinja's documentation, "Sandbox" and "Low Level API".
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import SandboxedEnvironment
from jinja2.utils import Namespace

from bridge.rendering import hidden
from bridge.rendering.budget import (
    MAX_DEPTH,
    MAX_OUTPUT,
    Refusal,
    current,
    refuse_undefined,
    spend,
    spend_text,
    weigh,
    within,
)
from bridge.rendering.filters import filters, printf, tests
from bridge.rendering.values import (
    JsonText,
    MadeDict,
    MadeList,
    Missing,
    encode,
    kind,
    listed,
    refuse_json,
)

_TEXT = frozenset(
    {
        *("capitalize", "casefold", "count", "endswith", "find", "index", "isalnum"),
        *("isalpha", "isascii", "isdecimal", "isdigit", "islower", "isnumeric"),
        *("isspace", "istitle", "isupper", "lower", "lstrip", "partition"),
        *("removeprefix", "removesuffix", "rfind", "rindex", "rpartition", "rsplit"),
        *("rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title"),
        "upper",
    }
)
_OBJECT = frozenset({"get", "items", "keys", "values"})
_LIST = frozenset({"count", "index"})
_LOOP = frozenset(
    {
        *("changed", "cycle", "depth", "depth0", "first", "index", "index0", "last"),
        *("length", "nextitem", "previtem", "revindex", "revindex0"),
    }
)
#: Attributes a template may reach, by exact type; none of them changes anything, or
#: makes much of little. A group is what `groupby` gives.
_ATTRIBUTES: Mapping[type, frozenset[str]] = {
    str: _TEXT,
    dict: _OBJECT,
    MadeDict: _OBJECT,
    list: _LIST,
    MadeList: _LIST,
    tuple: _LIST,
    LoopContext: _LOOP,
}
_GROUP = frozenset({"grouper", "list"})
_INDEXED: tuple[type[Any], ...] = (dict, list, tuple, str)

#: Largest number that arithmetic may give; amounts and points stay far below.
_LARGEST = 10**30
#: Largest base and exponent.
_POWER = 100
_ITEMS = 100_000
#: A call takes about as long as five passes of a loop.
_CALL_STEPS = 5


@pass_context
def finalize(_: Context, value: object) -> str:
    """Write what an expression came to; the context keeps Jinja from doing it early."""
    return encode(value)


class Language(SandboxedEnvironment):
    """Templates whose every expression is one JSON value."""

    intercepted_binops = frozenset(SandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(undefined=Missing, finalize=finalize, optimized=False)
        self.filters = filters() | hidden.FILTERS
        self.tests = cast("dict[str, Any]", tests())
        self.globals = {"dict": made_dict, "namespace": Namespace, "range": bounded}

    @staticmethod
    def concat(parts: Iterable[str]) -> JsonText:
        """Join what a set block or a macro put out; Jinja calls it for nothing else."""
        pieces = list(parts)
        length = within(sum(map(len, pieces)), MAX_OUTPUT)
        spend_text(length)
        return JsonText("".join(pieces))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up `obj.attribute`: a key of the data before any method of Python's."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        if attribute in _ATTRIBUTES.get(type(obj), ()):
            return getattr(obj, attribute)
        if attribute.startswith("_"):
            raise Refusal(f"{current().shown(attribute)} is out of bounds")
        is_open = isinstance(obj, Namespace) or (
            isinstance(obj, tuple) and attribute in _GROUP
        )
        if is_open and hasattr(obj, attribute):
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            refuse_undefined(obj)
        return self.undefined(obj=obj, name=attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up `obj[argument]`: an item, or what `obj.argument` would be."""
        for value in (obj, argument):
            if isinstance(value, Undefined):
                refuse_undefined(value)
        if not isinstance(argument, str | int):
            what = kind(argument)
            raise Refusal(f"what stands in [ ] must be a text or an index, not {what}")
        if isinstance(obj, _INDEXED):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        if isinstance(argument, str) and not isinstance(obj, dict):
            return self.getattr(obj, argument)
        return self.undefined(obj=obj, name=cast("str", argument))

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, a method of a value, or a function of the language."""
        spend(_CALL_STEPS + len(args) + len(kwargs))
        if isinstance(obj, Macro):
            return self._macro(context, obj, args, kwargs)
        owner = getattr(obj, "__self__", None)
        if isinstance(owner, str | dict | list | tuple):
            weigh(owner)
        for value in args:
            weigh(value)
        made = listed(super().call(context, obj, *args, **kwargs))
        if isinstance(made, str | list):
            weigh(made)
        return made

    def _macro(
        self,
        context: Context,
        macro: Macro,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        run = current()
        run.depth += 1
        if run.depth > MAX_DEPTH:
            raise Refusal(f"macros call each other more than {MAX_DEPTH} deep")
        try:
            return super().call(context, macro, *args, **kwargs)
        finally:
            run.depth -= 1

    def call_binop(
        self, context: Context, operator: str, left: object, right: object
    ) -> object:
        """Work out an operator without letting little become much."""
        del context
        if operator == "%" and isinstance(left, str):
            return printf(left, *(right if isinstance(right, tuple) else (right,)))
        weigh(left)
        weigh(right)
        work: Callable[[Any, Any], Any] = self.binop_table[operator]
        if isinstance(left, int | float) and isinstance(right, int | float):
            if operator == "**" and max(abs(left), abs(right)) > _POWER:
                raise Refusal(f"`**` works up to {_POWER}")
            return _bounded_number(work(left, right))
        if isinstance(left, JsonText) or isinstance(right, JsonText):
            refuse_json()
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return left + right
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            return MadeList([*left, *right])
        raise Refusal(f"`{operator}` is not for {kind(left)} and {kind(right)}")


def _bounded_number(value: Any) -> Any:
    if abs(value) > _LARGEST:
        raise Refusal("a number grows too large")
    return value


def made_dict(*args: Any, **kwargs: object) -> MadeDict:
    """Make an object of other objects and of names: `dict(body.dataFields, a=1)`."""
    for value in (*args, *kwargs.values()):
        weigh(value)
    return MadeDict(*args, **kwargs)


def bounded(*args: int) -> range:
    """Count like Python's `range`, within limits.

    Raises:
        Refusal: It has too many numbers.
    """
    numbers = range(*args)
    if max(abs(numbers.start), abs(numbers.stop)) > _LARGEST or len(numbers) > _ITEMS:
        raise Refusal(f"a range has more than {_ITEMS:,} numbers")
    return numbers
