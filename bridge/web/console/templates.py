"""Templates: what each makes of a webhook, and what an edited one would make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path

from flask import Blueprint, abort, render_template, request

from bridge.bootstrap import Bridge
from bridge.captures import iter_captures
from bridge.config import Route, shipped
from bridge.model import Capture, EventFilter
from bridge.operations.preview import Preview, of_route
from bridge.privacy import Redactor, personal_values
from bridge.store import events
from bridge.web.console.auth import is_revealed

#: Newest stored webhooks to choose from.
_STORED = 15
#: Characters of an edited template.
_MAX_SOURCE = 64_000
#: Longer payloads are not compared line by line, which takes quadratic time.
_MAX_LINES = 2_000


#: Two payloads side by side: the old line, the new one, and whether they are the same.
Diff = list[tuple[str, str, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewResult:
    """The payload of a webhook on one route, by the template as it is and as edited."""

    route: str
    old: Preview
    new: Preview | None = None
    lines: Diff = field(default_factory=list)


def add_views(blueprint: Blueprint, bridge: Bridge) -> None:
    """Add the list of templates and the page of one."""
    samples = _samples()

    @blueprint.get("/templates")
    def templates() -> str:
        used = _used(bridge)
        others = sorted(
            path.name
            for path in bridge.config.templates.glob("*.j2")
            if path.is_file() and path.name not in used
        )
        return render_template("templates.html", used=used, others=others)

    # A POST changes nothing; only a form of ours may render an edited text.
    @blueprint.route("/templates/<path:name>", methods=["GET", "POST"])
    def template(name: str) -> str:
        return _show(bridge, samples, name)


def _show(bridge: Bridge, samples: Mapping[str, Capture], name: str) -> str:
    routes = _used(bridge).get(name) or abort(404)
    form = request.form if request.method == "POST" else request.args
    source, problem = _source(bridge.config.templates / name)
    edited = _edited(source) if request.method == "POST" else None
    chosen = form.get("webhook", "")
    capture = _webhook(bridge, samples, chosen, routes)
    redactor = Redactor(personal_values(capture.body), revealed=is_revealed())
    with bridge.store.read() as tx:
        stored = events.list(tx, EventFilter(limit=_STORED))
    return render_template(
        "template.html",
        name=name,
        samples=list(samples),
        stored=stored,
        chosen=chosen,
        source=source if edited is None else edited,
        is_edited=edited is not None,
        problem=problem,
        results=[_result(bridge, one, capture, edited, redactor) for one in routes],
        redactor=redactor,
    )


def _used(bridge: Bridge) -> dict[str, list[Route]]:
    """List the templates that routes name, in the order of the routes."""
    used: dict[str, list[Route]] = {}
    for route in bridge.config.routes:
        used.setdefault(route.template, []).append(route)
    return used


def _samples() -> dict[str, Capture]:
    folder = shipped("samples") / "voucherify"
    return {
        path.stem: next(iter_captures(path)).capture
        for path in sorted(folder.glob("[0-9]*.json"))
        if path.is_file()
    }


def _source(path: Path) -> tuple[str, str | None]:
    """Read a template's text; where that fails it is empty, with the reason."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace"), None
    except OSError as error:
        return "", error.strerror


def _edited(source: str) -> str | None:
    """Return the text that was typed, unless it is the file's."""
    typed = request.form.get("source")
    if typed is None:
        return None
    text = typed.replace("\r\n", "\n")[:_MAX_SOURCE]
    return None if text.rstrip("\n") == source.rstrip("\n") else text


def _webhook(
    bridge: Bridge, samples: Mapping[str, Capture], chosen: str, routes: Sequence[Route]
) -> Capture:
    """Find the webhook that was chosen, or else one that fits the template."""
    if chosen in samples:
        return samples[chosen]
    if chosen:
        with bridge.store.read() as tx:
            stored = events.get(tx, chosen) or abort(404)
        return stored.capture
    for capture in samples.values():
        if of_route(bridge, routes[0], capture, template=None).payload:
            return capture
    return next(iter(samples.values()))


def _result(
    bridge: Bridge,
    route: Route,
    capture: Capture,
    edited: str | None,
    redactor: Redactor,
) -> PreviewResult:
    old = of_route(bridge, route, capture, template=None)
    if edited is None:
        return PreviewResult(route=route.name, old=old)
    new = of_route(bridge, route, capture, template=edited)
    lines = _compare(_text(old, redactor), _text(new, redactor))
    return PreviewResult(route=route.name, old=old, new=new, lines=lines)


def _text(preview: Preview, redactor: Redactor) -> list[str]:
    if preview.payload is None:
        return [redactor.text(preview.reason)]
    return redactor.body(preview.payload).split("\n")[:_MAX_LINES]


def _compare(old: Sequence[str], new: Sequence[str]) -> Diff:
    lines: Diff = []
    # `autojunk` bounds the time for texts of many equal lines.
    for kind, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        for left, right in zip_longest(old[a:b], new[c:d], fillvalue=""):
            lines.append((left, right, kind == "equal"))
    return lines
