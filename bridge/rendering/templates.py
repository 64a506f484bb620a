"""Template files to payloads; every failure is a `RenderError` that names the line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Protocol

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes

from bridge.config import Route
from bridge.errors import ConfigError, Problem, RenderError
from bridge.model import Json, Message, ParsedWebhook, Recipient
from bridge.rendering.context import context_of
from bridge.rendering.language import Language, rewritten
from bridge.rendering.lint import Names, faults
from bridge.rendering.values import MAX_OUTPUT, RUN, Refusal, Run, dumps

LANGUAGE = Language()
#: What foreign code raises over an unfit value. Its text may hold the value, ours not.
_SENTENCES: tuple[tuple[type[Exception], str], ...] = (
    (RecursionError, "it is nested too deeply"),
    (TemplateError, "something is used in a way that templates do not allow"),
    (TypeError, "a value has the wrong type for what is done with it"),
    (ArithmeticError, "a number cannot be worked out (division by zero, or too large)"),
    (LookupError, "an item is not there"),
    (ValueError, "a value cannot be used as it is used here"),
    (AssertionError, "a filter got an argument it cannot use"),
    (AttributeError, "a value has the wrong type for what is done with it"),
    (MemoryError, "it needs too much memory"),
    (RuntimeError, "it cannot be worked out"),
    (NameError, "it cannot be worked out"),
)
_FOREIGN = tuple(one for one, _ in _SENTENCES)


class _Checked(Protocol):
    """A payload judged by a destination (`PayloadCheck`)."""

    @property
    def document(self) -> Mapping[str, Json]: ...

    @property
    def dropped(self) -> int: ...

    @property
    def names_campaign(self) -> bool: ...


class PayloadRules(Protocol):
    """What rendering needs of a destination."""

    def check_payload(
        self, route: Route, endpoint: str, document: Json, recipient: Recipient
    ) -> _Checked:
        """Judge a rendered document; raise `ValueError` with the reason in words."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """What one attempt sends."""

    #: Compact JSON in UTF-8.
    body: bytes
    document: Mapping[str, Json]
    #: Keys of the webhook's body that the destination does not know, left out.
    dropped: int
    #: True where the webhook's own body named the campaign, and no route did.
    names_campaign: bool


@dataclass(frozen=True, slots=True)
class Compiled:
    """A template ready to run."""

    name: str
    source: str
    template: Template

    def text(self, context: dict[str, Json]) -> str:
        """Run it to its end, in the run in progress."""
        pieces, length = [], 0
        for piece in self._stream(context):
            length += len(piece)
            if length > MAX_OUTPUT:
                raise Refusal(f"the payload grows beyond {MAX_OUTPUT:,} characters")
            pieces.append(piece)
        return "".join(pieces)

    def line_of(self, trace: TracebackType | None) -> int | None:
        """Find the innermost line of the template in a traceback."""
        line = None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.name:
                line = self.template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return line

    def line_at(self, position: int, context: dict[str, Json]) -> int | None:
        """Find the line that put out a position, by running it again."""
        stream = self._stream(context)
        for piece in stream:
            frame = getattr(stream, "gi_frame", None)
            if position <= len(piece) and frame is not None:
                start = self.template.get_corresponding_lineno(frame.f_lineno)
                return start + piece.count("\n", 0, position)
            position -= len(piece)
        return None

    def _stream(self, context: dict[str, Json]) -> Iterator[str]:
        return self.template.root_render_func(self.template.new_context(context))


class Templates:
    """The payload templates of a folder, compiled.

    Args:
        folder: Where the templates are.
        names: File names in it.
        edited: Texts used in place of files, by their names.

    Raises:
        ConfigError: With every problem of every template.
    """

    def __init__(
        self,
        folder: Path,
        names: Iterable[str],
        edited: Mapping[str, str] | None = None,
    ) -> None:
        problems: list[Problem] = []
        self._compiled: dict[str, Compiled] = {}
        for name in sorted(set(names)):
            try:
                source = (edited or {}).get(name) or text_of(folder, name)
                tree = parsed_tree(name, source, None)
                self._compiled[name] = compiled(name, source, tree)
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)

    def render(  # noqa: PLR0913 - everything a payload is made of, by keyword
        self,
        route: Route,
        *,
        endpoint: str,
        parsed: ParsedWebhook,
        message: Message,
        recipient: Recipient,
        delivery_id: str,
        destination: PayloadRules,
    ) -> Payload:
        """Make the payload of one message.

        Args:
            route: Names the template.
            endpoint: Where it will go; a compatible endpoint may name another than the
                route.
            parsed: The webhook.
            message: One of its messages.
            recipient: Who gets it.
            delivery_id: `bridge_id` in the template.
            destination: Judges the payload.

        Raises:
            RenderError: With the line where it is known, and nothing personal.
        """
        one = self._compiled[route.template]
        context = context_of(route, endpoint, parsed, message, recipient)
        context["bridge_id"] = delivery_id
        document = rendered(one, context)
        return judged(one.name, document, route, endpoint, recipient, destination)


def lint(folder: Path, name: str, names: Names | None = None) -> list[Problem]:
    """List what is wrong with one template's text.

    Args:
        folder: Where the templates are.
        name: File name in it.
        names: What the template may name; None leaves that to the rendering.

    Returns:
        Problems whose path is the template's name and whose message begins with the
        line: syntax, unknown names, and quotes typed around an expression.
    """
    try:
        parsed_tree(name, text_of(folder, name), names)
    except ConfigError as error:
        return list(error.problems)
    return []


def parsed_tree(name: str, source: str, names: Names | None) -> nodes.Template:
    """Parse a template.

    Raises:
        ConfigError: With everything that is wrong with its text.
    """
    try:
        tree = LANGUAGE.parse(source, name=name, filename=name)
        found = faults(LANGUAGE, source, tree, names)
    except TemplateSyntaxError as error:
        raise ConfigError(
            [Problem(name, f"line {error.lineno}: {error.message}")]
        ) from None
    except (RecursionError, MemoryError, SyntaxError, ValueError):
        fault = "is nested too deeply, or has too long a number"
        raise ConfigError([Problem(name, fault)]) from None
    if found:
        raise ConfigError(
            [Problem(name, f"line {one.line}: {one.message}") for one in found]
        )
    return tree


def compiled(
    name: str, source: str, tree: nodes.Template, language: Language = LANGUAGE
) -> Compiled:
    """Compile a parsed template.

    Raises:
        ConfigError: It is nested too deeply.
    """
    try:
        code = language.compile(rewritten(tree), name=name, filename=name)
    except (RecursionError, MemoryError, SyntaxError, ValueError, TemplateError):
        raise ConfigError([Problem(name, "is nested too deeply")]) from None
    return Compiled(
        name, source, Template.from_code(language, code, dict(language.globals))
    )


def rendered(one: Compiled, context: dict[str, Json]) -> dict[str, Json]:
    """Run a template and read what it put out; a key that is null is left out.

    Raises:
        RenderError: With the line where it is known, and nothing personal.
    """
    token = RUN.set(Run(source=one.source, context=context))
    try:
        document = _DECODER.decode(one.text(context))
        if isinstance(document, dict):
            return {key: value for key, value in document.items() if value is not None}
        line, reason = None, "the payload must be an object"
    except json.JSONDecodeError as error:
        line = one.line_at(error.pos, context)
        reason = f"the result is not JSON: {error.msg}"
    except (Refusal, UndefinedError) as error:
        line, reason = one.line_of(error.__traceback__), str(error)
    except _FOREIGN as error:
        line = one.line_of(error.__traceback__)
        reason = next(text for kind, text in _SENTENCES if isinstance(error, kind))
    finally:
        RUN.reset(token)
    # Outside the handlers: what foreign code says may have a name or an address in it.
    raise RenderError(reason, template=one.name, line=line)


def judged(
    name: str,
    document: Json,
    route: Route,
    endpoint: str,
    recipient: Recipient,
    destination: PayloadRules,
) -> Payload:
    """Let the destination judge a document, and make it the body to send.

    Raises:
        RenderError: It is not what the endpoint accepts.
    """
    try:
        checked = destination.check_payload(route, endpoint, document, recipient)
        body = dumps(checked.document).encode()
        if len(body) <= MAX_OUTPUT:
            return Payload(
                body=body,
                document=checked.document,
                dropped=checked.dropped,
                names_campaign=checked.names_campaign,
            )
        reason = f"the payload has {len(body):,} of at most {MAX_OUTPUT:,} bytes"
    except UnicodeEncodeError:
        reason = "a lone surrogate (half a character) cannot be sent"
    except (ValueError, Refusal) as error:
        reason = str(error)
    raise RenderError(reason, template=name)


def text_of(folder: Path, name: str) -> str:
    """Read a template.

    Raises:
        ConfigError: It cannot be read.
    """
    try:
        return (folder / name).read_text(encoding="utf-8-sig")
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        fault = "is not UTF-8 text"
    raise ConfigError([Problem(name, fault)])


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Refusal("an object has the same key twice")
    return document


def _constant(_: str) -> NoReturn:
    raise Refusal("a number is not finite")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
