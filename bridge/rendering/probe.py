"""Tries a template's expressions one by one, for `check`.

A sample webhook that lacks one value must not hide whether the other expressions work:
an expression that fails is replaced by a placeholder, and the rendering goes on. Each
expression is judged by all samples, and what is around the expressions (is it JSON,
does the destination know the keys) is judged even where no sample has every value.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import nodes
from jinja2.visitor import NodeTransformer

from bridge.config import Route
from bridge.errors import RenderError
from bridge.model import Json, Message, ParsedWebhook, Recipient
from bridge.rendering.context import context_of
from bridge.rendering.filters import optional
from bridge.rendering.language import Language, called, each
from bridge.rendering.templates import (
    PayloadRules,
    compiled,
    judged,
    parsed_tree,
    rendered,
    text_of,
)
from bridge.rendering.values import encode

#: Values of each type, so that what all of them fail by is not the value's fault.
_STAND_INS: tuple[Json, ...] = ("sample", 1, {}, None)


@dataclass(slots=True)
class _Trial:
    """One rendering: which expressions are replaced, and which are being worked out."""

    stand_in: Json
    broken: set[int]
    begun: set[int] = field(default_factory=set)
    #: The innermost is last: a macro's expressions are inside that which calls it.
    open: list[int] = field(default_factory=list)


_TRIAL: ContextVar[_Trial] = ContextVar("trial")


class Probe:
    """One template, ready to be tried with samples.

    Args:
        folder: Where the templates are.
        name: File name in it; its text has no problem that `lint` finds.

    Raises:
        ConfigError: It cannot be compiled.
    """

    def __init__(self, folder: Path, name: str) -> None:
        source = text_of(folder, name)
        tree = parsed_tree(name, source, None)
        marker = _Marker(_texts(_LANGUAGE, source))
        marker.visit(tree)
        #: As typed, or the kind of statement each is in.
        self._expressions = marker.expressions
        self._compiled = compiled(name, source, tree, _LANGUAGE)
        self._worked: set[int] = set()
        self._reasons: dict[int, str] = {}
        #: What is wrong with the whole payload, by sample; None for nothing.
        self._verdicts: list[str | None] = []

    @property
    def problem(self) -> str | None:
        """What is wrong whatever the values are; None where nothing is."""
        return next(iter(self._verdicts), None) if all(self._verdicts) else None

    @property
    def unproven(self) -> list[tuple[str, str]]:
        """Expressions that failed with every sample that reached them, and a reason."""
        failed = sorted(self._reasons.keys() - self._worked)
        return [(self._expressions[i], self._reasons[i]) for i in failed]

    def try_sample(
        self,
        route: Route,
        *,
        parsed: ParsedWebhook,
        message: Message,
        recipient: Recipient,
        destination: PayloadRules,
    ) -> None:
        """Render one sample, expression by expression."""
        context = context_of(route, route.endpoint, parsed, message, recipient)
        context["bridge_id"] = "00000000-0000-7000-8000-000000000000"
        broken: set[int] = set()

        def verdict(stand_in: Json) -> str | None:
            try:
                document = self._rendered(context, stand_in, broken)
                name = self._compiled.name
                judged(name, document, route, route.endpoint, recipient, destination)
            except RenderError as error:
                return str(error)
            return None

        verdicts = [verdict(_STAND_INS[0])]
        if broken:
            verdicts += map(verdict, _STAND_INS[1:])
        is_certain = all(one == other for one, other in pairwise(verdicts))
        self._verdicts.append(verdicts[0] if is_certain else None)

    def _rendered(
        self, context: dict[str, Json], stand_in: Json, broken: set[int]
    ) -> dict[str, Json]:
        """Render, replacing one more expression after each that fails."""
        while True:
            trial = _Trial(stand_in=stand_in, broken=broken)
            token = _TRIAL.set(trial)
            try:
                document = rendered(self._compiled, context)
            except RenderError as error:
                if not trial.open:
                    raise
                broken.add(trial.open[-1])
                self._reasons.setdefault(trial.open[-1], error.reason)
            else:
                self._worked |= trial.begun - broken
                return document
            finally:
                _TRIAL.reset(token)


class _Marker(NodeTransformer):
    """Puts each expression between two marks, by which it can be replaced."""

    def __init__(self, texts: Iterator[str]) -> None:
        self._texts = texts
        self.expressions: list[str] = []

    def visit_Output(self, node: nodes.Output) -> nodes.Node:  # noqa: N802 - Jinja's
        for index, one in enumerate(node.nodes):
            if not isinstance(one, nodes.TemplateData):
                text = f"{{{{ {next(self._texts, '…')} }}}}"
                node.nodes[index] = self._marked(one, text, "output")
        return node

    def visit_If(self, node: nodes.If) -> nodes.Node:  # noqa: N802 - Jinja's name
        node.test = self._marked(node.test, "{% if %}", "if", nodes.Const(False))
        return self.generic_visit(node)

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802 - Jinja's name
        node.iter = self._marked(node.iter, "{% for %}", "for", nodes.List([]))
        return self.generic_visit(node)

    def visit_Assign(self, node: nodes.Assign) -> nodes.Node:  # noqa: N802 - Jinja's
        node.node = self._marked(node.node, "{% set %}", "set")
        return node

    def _marked(
        self, node: Any, text: str, how: str, instead: nodes.Expr | None = None
    ) -> nodes.Expr:
        number = nodes.Const(len(self.expressions))
        self.expressions.append(text)
        begin = nodes.Test(number, "(begin)", [], [], None, None, lineno=node.lineno)
        done = called("(done)", node, number, nodes.Const(how))
        number.lineno = node.lineno
        return nodes.CondExpr(
            begin, done, instead or called("(placeholder)", number), lineno=node.lineno
        )


def _texts(language: Language, source: str) -> Iterator[str]:
    """Yield what is typed between each `{{` and `}}`."""
    pieces: list[str] | None = None
    for _, token, text in language.lex(source):
        if token == "variable_begin":  # noqa: S105 - a word of the lexer's
            pieces = []
        elif token == "variable_end":  # noqa: S105 - a word of the lexer's
            yield " ".join("".join(pieces or ()).split())
            pieces = None
        elif pieces is not None:
            pieces.append(text)


def _begin(number: int) -> bool:
    trial = _TRIAL.get()
    trial.begun.add(number)
    if number in trial.broken:
        return False
    trial.open.append(number)
    return True


def _done(value: Any, number: int, how: str) -> Any:
    """Use the value as the template will, and note that this went well."""
    if how == "output":
        value = encode(value)
    elif how == "if":
        value = bool(value)
    elif how == "for":
        value = list(each(value))
    open_ = _TRIAL.get().open
    del open_[open_.index(number) :]
    return value


def _placeholder(_: int) -> Any:
    return optional(_TRIAL.get().stand_in)


_LANGUAGE = Language()
_LANGUAGE.tests["(begin)"] = _begin
_LANGUAGE.filters |= {"(done)": _done, "(placeholder)": _placeholder}
