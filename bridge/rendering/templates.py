"""Template files to payloads; every failure is a `RenderError` that names the line."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from jinja2 import Template, TemplateError, TemplateSyntaxError, UndefinedError

from bridge.config import Route
from bridge.errors import ConfigError, Problem, RenderError
from bridge.model import Parsed, Recipient, Reward
from bridge.rendering.budget import MAX_OUTPUT, STEPS, Refusal, Run, running, within
from bridge.rendering.context import context_of
from bridge.rendering.language import Language
from bridge.rendering.payload import Payload, finish
from bridge.rendering.syntax import faults, metered, parse

_LANGUAGE = Language()
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
_FOREIGN = tuple(kind for kind, _ in _SENTENCES)


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A template ready to run."""

    name: str
    source: str
    template: Template

    def text(self, run: Run) -> str:
        """Run it to its end.

        Raises:
            Refusal: It puts out too much.
        """
        pieces, length = [], 0
        for piece in self.stream(run):
            length = within(length + len(piece), MAX_OUTPUT)
            pieces.append(piece)
        return "".join(pieces)

    def stream(self, run: Run) -> Iterator[str]:
        """Start it; the pieces come as it goes."""
        context = self.template.new_context(run.context)
        return self.template.root_render_func(context)

    def line_of(self, trace: TracebackType | None) -> int | None:
        """Find the innermost line of the template in a traceback."""
        line = None
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.name:
                line = self.template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return line

    def line_at(self, position: int, run: Run) -> int | None:
        """Find the line that put out a position, by running it again."""
        run.steps = STEPS
        stream = self.stream(run)
        for piece in stream:
            frame = getattr(stream, "gi_frame", None)
            if position <= len(piece) and frame is not None:
                start = self.template.get_corresponding_lineno(frame.f_lineno)
                return start + piece.count("\n", 0, position)
            position -= len(piece)
        return None


class Templates:
    """The payload templates of a folder, compiled.

    Args:
        folder: Where the templates are.
        names: File names in it.
        edited: Texts that stand for files, by their names.

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
        self._compiled: dict[str, _Compiled] = {}
        for name in sorted(set(names)):
            compiled, found = _compile(folder, name, (edited or {}).get(name))
            problems += found
            if compiled is not None:
                self._compiled[name] = compiled
        if problems:
            raise ConfigError(problems)

    def render(
        self,
        route: Route,
        *,
        endpoint: str,
        parsed: Parsed,
        reward: Reward,
        recipient: Recipient,
        delivery_id: str,
    ) -> Payload:
        """Make the payload of one reward.

        Args:
            route: Names the template.
            endpoint: Where it will go; a drop-in door may name another than the route.
            parsed: The webhook.
            reward: One of its rewards.
            recipient: Who gets it.
            delivery_id: `bridge_id` in the template.

        Raises:
            RenderError: With the line where it is known, and nothing personal.
        """
        compiled = self._compiled[route.template]
        context = context_of(route, endpoint, parsed, reward, recipient)
        context["bridge_id"] = delivery_id
        run = Run(
            source=compiled.source,
            context=context,
            endpoint=endpoint,
            recipient=recipient,
            campaign_id=route.campaign_id,
        )
        with running(run):
            return _rendered(compiled, run)


def lint(folder: Path, name: str) -> list[Problem]:
    """List what is wrong with one template's text.

    Returns:
        Problems whose path is the template's name and whose message begins with the
        line: syntax, unknown names, and quotes typed around an expression.
    """
    return _compile(folder, name)[1]


def _compile(
    folder: Path, name: str, source: str | None = None
) -> tuple[_Compiled | None, list[Problem]]:
    try:
        if source is None:
            source = (folder / name).read_text(encoding="utf-8-sig")
    except OSError as error:
        return None, [Problem(name, f"cannot be read: {error.strerror}")]
    except UnicodeDecodeError:
        return None, [Problem(name, "is not UTF-8 text")]
    try:
        tree = parse(_LANGUAGE, source, name)
        found = faults(_LANGUAGE, source, tree)
        if found:
            return None, [Problem(name, f"line {x.line}: {x.message}") for x in found]
        code = _LANGUAGE.compile(metered(tree), name=name, filename=name)
    except TemplateSyntaxError as error:
        return None, [Problem(name, f"line {error.lineno}: {error.message}")]
    except (RecursionError, MemoryError, SyntaxError, ValueError):
        return None, [Problem(name, "is nested too deeply, or has too long a number")]
    template = Template.from_code(_LANGUAGE, code, dict(_LANGUAGE.globals))
    return _Compiled(name, source, template), []


def _rendered(compiled: _Compiled, run: Run) -> Payload:
    try:
        return finish(compiled.text(run), run)
    except json.JSONDecodeError as error:
        line = compiled.line_at(error.pos, run)
        reason = f"the result is not JSON: {error.msg}"
    except (Refusal, UndefinedError) as error:
        line, reason = compiled.line_of(error.__traceback__), str(error)
    except _FOREIGN as error:
        line = compiled.line_of(error.__traceback__)
        reason = next(text for kind, text in _SENTENCES if isinstance(error, kind))
    # Not `from error`: what foreign code says may hold somebody's name.
    raise RenderError(reason, template=compiled.name, line=line) from None
