"""What is wrong with a template's text, found before any webhook; nothing runs."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from jinja2 import Environment, nodes

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
#: With these a field may be absent.
_ALLOWING = frozenset({"optional", "default", "d"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names a template has, for errors on misspelt ones."""

    #: What is at the top.
    roots: frozenset[str]
    #: Roots whose fields are all known.
    fields: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a template, and the line it is in, from 1."""

    line: int
    message: str


def faults(
    environment: Environment, source: str, tree: nodes.Template, names: Names | None
) -> list[Fault]:
    """List all that is wrong with a template that can be parsed.

    Args:
        environment: Its filters and tests are known.
        source: The text.
        tree: The text, parsed and not yet rewritten.
        names: What it may name; None to leave that to the rendering.
    """
    found = {*_refused(tree), *_out_of_bounds(tree), *_unknown(environment, tree)}
    found |= {*_quoted(environment, source)}
    if names is not None:
        found |= {*_undeclared(environment, tree, names)}
        found |= {*_misspelt(tree, names)}
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


def _out_of_bounds(tree: nodes.Template) -> Iterator[Fault]:
    for one in tree.find_all(nodes.Getattr):
        if one.attr.startswith("__"):
            yield Fault(one.lineno, f"`{one.attr}` is out of bounds")
    for const in tree.find_all(nodes.Const):
        # Jinja would compile 1e999 to a name that is not defined.
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
            yield Fault(one.lineno, f"there is no {what} `{name}`{_near(name, known)}")


def _undeclared(
    environment: Environment, tree: nodes.Template, names: Names
) -> Iterator[Fault]:
    known = {*names.roots, *environment.globals, *_GIVEN_BY_JINJA, *_assigned(tree)}
    for one in tree.find_all(nodes.Name):
        if one.name not in known:
            hint = _near(one.name, known)
            yield Fault(one.lineno, f"`{one.name}` is not defined{hint}")


def _misspelt(tree: nodes.Template, names: Names) -> Iterator[Fault]:
    """Find fields that no webhook can have: `reward.cod`."""
    assigned, allowed = _assigned(tree), set(map(id, _allowed(tree)))
    for one in tree.find_all(nodes.Getattr):
        owner = one.node
        if not isinstance(owner, nodes.Name) or owner.name in assigned:
            continue
        known = names.fields.get(owner.name)
        if known is not None and one.attr not in known and id(one) not in allowed:
            hint = _near(one.attr, known)
            yield Fault(one.lineno, f"{owner.name} has no `{one.attr}`{hint}")


def _allowed(tree: nodes.Template) -> Iterator[nodes.Node]:
    for one in tree.find_all(nodes.Filter):
        if one.name in _ALLOWING and one.node is not None:
            yield one.node
    for test in tree.find_all(nodes.Test):
        yield test.node


def _assigned(tree: nodes.Template) -> set[str]:
    """List the names that the template itself makes."""
    names = {one.name for one in tree.find_all(nodes.Name) if one.ctx != "load"}
    return names | {one.name for one in tree.find_all(nodes.Macro)}


def _quoted(environment: Environment, source: str) -> Iterator[Fault]:
    """Find expressions inside a JSON string, which cannot run past its line."""
    is_inside = False
    for line, token, text in environment.lex(source):
        if token == "data":  # noqa: S105 - the lexer's word for what is no code
            for mark in _IN_STRING.findall(text):
                is_inside = not is_inside if mark == '"' else is_inside and mark != "\n"
        elif token == "variable_begin" and is_inside:  # noqa: S105 - as above
            yield Fault(line, _QUOTED)


def _near(word: str, known: Mapping[str, object] | set[str] | frozenset[str]) -> str:
    found = get_close_matches(word, [one for one in known if one[0] != "("], n=1)
    return f". Did you mean `{found[0]}`?" if found else ""
