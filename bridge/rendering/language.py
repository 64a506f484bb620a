"""The template language: Jinja's sandbox, in which every expression is a JSON value.

References:
    Jinja's documentation, "Sandbox" and "Low Level API".
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

from jinja2 import Undefined, nodes, pass_context
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from bridge.rendering.filters import filters, printf, tests
from bridge.rendering.formats import as_number
from bridge.rendering.values import (
    EMPTY,
    MAX_OUTPUT,
    MAX_SIZE,
    RUN,
    JsonText,
    Missing,
    Refusal,
    check_time,
    encode,
    found,
    join,
    kind,
    refuse_json,
    refuse_undefined,
    within,
)

#: Methods of texts that make much of little, or format Python's way.
_NO_METHODS = frozenset(
    {
        *("center", "encode", "expandtabs", "format", "format_map", "join", "ljust"),
        *("maketrans", "replace", "rjust", "translate", "zfill"),
    }
)
#: Largest number that arithmetic may give; largest base and exponent of a power.
_LARGEST, _POWER = 10**30, 100


@pass_context
def _finalize(_: Context, value: object) -> str:
    """Write what an expression came to; the context keeps Jinja from doing it early."""
    return encode(value)


def _text(*values: object) -> str:
    """Do the work of `~`: one text of several values."""
    return join(list(values))


def each(values: object) -> Iterator[object]:
    """Yield what a loop goes over, while there is time."""
    if isinstance(values, Undefined):
        refuse_undefined(values)
    if values is None:
        raise Refusal(f"what the loop goes over {EMPTY}")
    for value in values:  # type: ignore[attr-defined]
        check_time()
        yield value


class Language(ImmutableSandboxedEnvironment):
    """Templates whose every expression is one JSON value."""

    intercepted_binops = frozenset(SandboxedEnvironment.default_binop_table)

    def __init__(self) -> None:
        super().__init__(undefined=Missing, finalize=_finalize, optimized=False)
        # No template can type a name with brackets.
        self.filters = filters() | {"(text)": _text, "(each)": each}
        self.tests = cast("dict[str, Any]", tests())
        bounded = self.globals["range"]
        self.globals = {"dict": dict, "namespace": Namespace, "range": bounded}

    @staticmethod
    def concat(parts: Iterable[str]) -> JsonText:
        """Join what a set block or a macro put out; Jinja calls it for nothing else."""
        made = "".join(parts)
        if len(made) > MAX_OUTPUT:
            raise Refusal(f"a text grows beyond {MAX_OUTPUT:,} characters")
        return JsonText(made)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Allow what changes nothing and cannot make much of little."""
        if isinstance(obj, str) and attr in _NO_METHODS:
            return False
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> None:
        """Leave `format` out: Python's own would write `None` for what is empty."""

    def unsafe_undefined(self, obj: Any, attribute: str) -> Undefined:
        """Refuse an attribute at once, without quoting what a value may be."""
        del obj
        raise Refusal(f"{RUN.get().shown(attribute)} is out of bounds")

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Look up `obj.attribute`: a key of the data before any method of Python's."""
        if isinstance(obj, dict) and attribute in obj:
            return found(obj[attribute])
        if isinstance(obj, Undefined):
            # So that `| optional` covers a whole path.
            return self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Look up `obj[argument]`: an item, or what `obj.argument` would be."""
        for value in (obj, argument):
            if isinstance(value, Undefined):
                refuse_undefined(value)
        if not isinstance(argument, str | int | slice):
            what = kind(argument)
            raise Refusal(f"what is in [ ] must be a text or an index, not {what}")
        if isinstance(argument, str):
            return self.getattr(obj, argument)
        if isinstance(obj, dict):
            return found(obj[argument]) if argument in obj else self.undefined(obj=obj)
        return super().getitem(obj, argument)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a macro, a method of a value, or a function of the language."""
        check_time()
        if isinstance(obj, Undefined):
            refuse_undefined(obj)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Work out an operator: on numbers, and on texts that are numbers."""
        del context
        check_time()
        for value in (left, right):
            if isinstance(value, Undefined):
                refuse_undefined(value)
            if isinstance(value, JsonText):
                refuse_json()
        if operator == "%" and isinstance(left, str) and "%" in left:
            return printf(left, *(right if isinstance(right, tuple) else (right,)))
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return within(left + right)
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            if len(left) + len(right) > MAX_SIZE:
                raise Refusal(f"a list has more than {MAX_SIZE:,} items")
            return left + right
        return self._calculated(operator, left, right)

    def _calculated(self, operator: str, left: Any, right: Any) -> Any:
        numbers = [one for one in map(as_number, (left, right)) if one is not None]
        if len(numbers) != 2:  # noqa: PLR2004 - left and right
            raise Refusal(f"`{operator}` is not for {kind(left)} and {kind(right)}")
        if operator == "**" and any(abs(one) > _POWER for one in numbers):
            raise Refusal(f"`**` works up to {_POWER}")
        work: Callable[[Any, Any], Any] = self.binop_table[operator]
        made = work(*numbers)
        if abs(made) > _LARGEST:
            raise Refusal("a number grows too large")
        return made


class _Rewriter(NodeTransformer):
    """Lets our own functions do what Jinja's code would do unasked: `~` and loops."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        node.iter = called("(each)", cast("nodes.Expr", node.iter))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja's
        self.generic_visit(node)
        return called("(text)", *node.nodes)


def called(name: str, first: nodes.Expr, *rest: nodes.Expr) -> nodes.Filter:
    """Apply a filter to an expression."""
    return nodes.Filter(first, name, list(rest), [], None, None, lineno=first.lineno)


def rewritten(tree: nodes.Template) -> nodes.Template:
    """Rewrite a template so that `~` and loops keep the rules of values."""
    _Rewriter().visit(tree)
    return tree
