"""A template's text, before it runs: what is wrong with it, and its metered form."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from jinja2 import Environment, nodes
from jinja2.visitor import NodeTransformer

from bridge.rendering import hidden
from bridge.rendering.context import CONTEXT

_ONE_FILE = "is not available: a template is one file"
_ON_JSON = "is not available: it would change JSON text; change the values instead"
_REFUSED: Mapping[type[nodes.Node], str] = {
    nodes.Block: "`{% block %}` " + _ONE_FILE,
    nodes.CallBlock: "`{% call %}` is not available: pass values to the macro",
    nodes.Extends: "`{% extends %}` " + _ONE_FILE,
    nodes.FilterBlock: "`{% filter %}` " + _ON_JSON,
    nodes.FromImport: "`{% from %}` " + _ONE_FILE,
    nodes.Import: "`{% import %}` " + _ONE_FILE,
    nodes.Include: "`{% include %}` " + _ONE_FILE,
    nodes.ScopedEvalContextModifier: "`{% autoescape %}` " + _ON_JSON,
}
_QUOTED = (
    "quotes around `{{ … }}`: an expression brings its own, so leave them out; "
    'text with values is {{ "Hello " ~ name }}'
)
#: Names that loops and macros have without assigning them.
_GIVEN_BY_JINJA = ("loop", "varargs", "kwargs")
_IN_STRING = re.compile(r'\\.|["\n]')


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a template, and the line it is in, from 1."""

    line: int
    message: str


def parse(environment: Environment, source: str, name: str) -> nodes.Template:
    """Parse a template.

    Raises:
        jinja2.TemplateSyntaxError: It cannot be.
        RecursionError: Its expressions are nested too deeply.
        ValueError: A number in it is too long.
    """
    return environment.parse(source, name=name, filename=name)


def faults(environment: Environment, source: str, tree: nodes.Template) -> list[Fault]:
    """List all that is wrong with a template that can be parsed."""
    found = {*_refused(tree), *_endless(tree), *_unknown(environment, tree)}
    found |= {*_undeclared(environment, tree), *_quoted(environment, source)}
    return sorted(found)


def _refused(tree: nodes.Template) -> Iterator[Fault]:
    for node in tree.find_all(tuple(_REFUSED)):
        yield Fault(node.lineno, _REFUSED[type(node)])
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            yield Fault(loop.lineno, "`recursive` is not available: use a macro")
    for block in tree.find_all(nodes.AssignBlock):
        if block.filter is not None:
            yield Fault(block.lineno, "a filter on a set block " + _ON_JSON)


def _endless(tree: nodes.Template) -> Iterator[Fault]:
    """Find numbers such as 1e999, which Jinja would compile to a name nobody has."""
    for const in tree.find_all(nodes.Const):
        if isinstance(const.value, float) and not math.isfinite(const.value):
            yield Fault(const.lineno, "a number is too large")


def _unknown(environment: Environment, tree: nodes.Template) -> Iterator[Fault]:
    """Find filters and tests by their names; Jinja itself looks past those in an if."""
    for one in tree.find_all((nodes.Filter, nodes.Test)):
        is_filter = isinstance(one, nodes.Filter)
        known = environment.filters if is_filter else environment.tests
        name = getattr(one, "name", "")
        if name not in known:
            what = "filter" if is_filter else "test"
            yield Fault(one.lineno, f"there is no {what} `{name}`")


def _undeclared(environment: Environment, tree: nodes.Template) -> Iterator[Fault]:
    """Find names that nothing has.

    Jinja's own finder works constants out on the way, unmetered; this one only looks.
    """
    names = list(tree.find_all(nodes.Name))
    known = {*CONTEXT, *environment.globals, *_GIVEN_BY_JINJA}
    known |= {one.name for one in names if one.ctx != "load"}
    known |= {one.name for one in tree.find_all(nodes.Macro)}
    for one in names:
        if one.name not in known:
            yield Fault(one.lineno, f"`{one.name}` is not defined")


def _quoted(environment: Environment, source: str) -> Iterator[Fault]:
    """Find expressions inside a JSON string, which cannot run past its line."""
    is_inside = False
    for line, token, text in environment.lex(source):
        if token == "data":  # noqa: S105 - the lexer's word for what is no code
            for mark in _IN_STRING.findall(text):
                is_inside = not is_inside if mark == '"' else is_inside and mark != "\n"
        elif token == "variable_begin" and is_inside:  # noqa: S105 - as above
            yield Fault(line, _QUOTED)


class _Meter(NodeTransformer):
    """Puts a count where Jinja's code would loop, join, compare or copy unasked."""

    def __init__(self, assigned: frozenset[str]) -> None:
        self._assigned = assigned

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        node.iter = _called(hidden.EACH, node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802 - Jinja's
        self.generic_visit(node)
        first, *rest = (self._given(one) for one in node.nodes)
        return _called(hidden.TEXT, first, *rest)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:  # noqa: N802 - Jinja's
        self.generic_visit(node)
        node.expr = _called(hidden.WEIGHED, node.expr)
        for operand in node.ops:
            operand.expr = _called(hidden.WEIGHED, operand.expr)
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802 - Jinja's
        self.generic_visit(node)
        is_slice = isinstance(node.arg, nodes.Slice)
        return _called(hidden.WEIGHED, node) if is_slice else node

    def visit_List(self, node: nodes.List) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        return _called(hidden.MADE, node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:  # noqa: N802 - Jinja's name
        self.generic_visit(node)
        for pair in node.items:
            pair.key = _called(hidden.WEIGHED, pair.key)
        return _called(hidden.MADE, node)

    def _given(self, node: nodes.Expr) -> nodes.Expr:
        """Have a field of the data checked; a variable may be empty on purpose."""
        root: nodes.Node = node
        while isinstance(root, nodes.Getattr | nodes.Getitem):
            root = root.node
        is_data = isinstance(root, nodes.Name) and root.name not in self._assigned
        return _called(hidden.GIVEN, node) if is_data else node


def _called(name: str, first: nodes.Node, *rest: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(first, name, list(rest), [], None, None, lineno=first.lineno)


def metered(tree: nodes.Template) -> nodes.Template:
    """Rewrite a template so that whatever it does is counted."""
    targets: list[nodes.Node] = [one.target for one in tree.find_all(nodes.Assign)]
    targets += [one.target for one in tree.find_all(nodes.AssignBlock)]
    names = {name.name for one in targets for name in _named(one)}
    _Meter(frozenset(names)).visit(tree)
    return tree


def _named(target: nodes.Node) -> list[nodes.Name | nodes.NSRef]:
    if isinstance(target, nodes.Name | nodes.NSRef):
        return [target]
    return [*target.find_all(nodes.Name), *target.find_all(nodes.NSRef)]
