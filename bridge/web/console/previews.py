"""Templates: what each makes of a webhook, and what an edited one would."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from flask import Blueprint, abort, render_template, request
from werkzeug.datastructures import MultiDict

from bridge import resources
from bridge.bootstrap import Bridge
from bridge.capture import read
from bridge.config import Route
from bridge.model import Capture
from bridge.steering.previewing import Preview, on_route
from bridge.store import EventFilter
from bridge.web.console.door import PATH
from bridge.web.console.hiding import Veil, is_shown, personal_in

#: Newest stored webhooks to choose from.
_STORED = 15
#: Of an edited template; longer ones make no sense.
_LONGEST = 64_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of two payloads side by side."""

    old: str
    new: str
    #: False where they differ.
    is_same: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a webhook becomes on one route, by the template as it is and as edited."""

    route: str
    old: Preview
    new: Preview | None
    lines: Sequence[Line]


def pages(bridge: Bridge) -> Blueprint:
    """Make the list of templates and the page of one."""
    blueprint = Blueprint("previews", __name__, url_prefix=PATH)
    folder = bridge.config.templates
    samples = _samples()

    @blueprint.get("/templates")
    def all() -> str:  # noqa: A001 - the endpoint's name
        used = _used(bridge)
        others = sorted(
            path.name
            for path in folder.glob("*.j2")
            if path.is_file() and path.name not in used
        )
        return render_template("templates.html", used=used, others=others)

    # A POST changes nothing; it is how a long text is asked about.
    @blueprint.route("/templates/<path:name>", methods=["GET", "POST"])
    def show(name: str) -> str:
        routes = _used(bridge).get(name) or abort(404)
        asked = request.form if request.method == "POST" else request.args
        source, fault = _source(folder / name)
        edited = _edited(asked, source)
        chosen = asked.get("webhook", "")
        capture = _webhook(bridge, samples, chosen, routes)
        veil = Veil(personal_in(capture.body), lifted=is_shown())
        return render_template(
            "template.html",
            name=name,
            routes=routes,
            samples=list(samples),
            stored=bridge.store.ledger.events(EventFilter(limit=_STORED)),
            chosen=chosen,
            source=source if edited is None else edited,
            is_edited=edited is not None,
            fault=fault,
            results=[_result(bridge, one, capture, edited, veil) for one in routes],
            veil=veil,
        )

    return blueprint


def _used(bridge: Bridge) -> dict[str, list[Route]]:
    """List the templates that routes name, in the order of the routes."""
    used: dict[str, list[Route]] = {}
    for route in bridge.config.routes:
        used.setdefault(route.template, []).append(route)
    return used


def _samples() -> dict[str, Capture]:
    folder = resources.samples() / "voucherify"
    return {
        path.stem: next(read(path))
        for path in sorted(folder.glob("[0-9]*.json"))
        if path.is_file()
    }


def _source(path: Path) -> tuple[str, str | None]:
    """Read a template's text; where that fails it is empty, and the reason is said."""
    try:
        return path.read_text(encoding="utf-8-sig", errors="replace"), None
    except OSError as error:
        return "", error.strerror


def _edited(asked: "MultiDict[str, str]", source: str) -> str | None:
    """Take what was typed, unless it is what the file says."""
    typed = asked.get("source")
    if typed is None:
        return None
    text = typed.replace("\r\n", "\n")[:_LONGEST]
    return None if text.rstrip("\n") == source.rstrip("\n") else text


def _webhook(
    bridge: Bridge, samples: dict[str, Capture], chosen: str, routes: Sequence[Route]
) -> Capture:
    """Find the webhook that was chosen, or else one that suits the template."""
    if chosen in samples:
        return samples[chosen]
    if chosen:
        event = bridge.store.ledger.event(chosen) or abort(404)
        return event.capture
    for capture in samples.values():
        if on_route(bridge.config, routes[0], capture, source=None).payload:
            return capture
    return next(iter(samples.values()))


def _result(
    bridge: Bridge, route: Route, capture: Capture, edited: str | None, veil: Veil
) -> Result:
    old = on_route(bridge.config, route, capture, source=None)
    if edited is None:
        return Result(route=route.name, old=old, new=None, lines=())
    new = on_route(bridge.config, route, capture, source=edited)
    lines = _beside(_text(old, veil), _text(new, veil))
    return Result(route=route.name, old=old, new=new, lines=lines)


def _text(preview: Preview, veil: Veil) -> list[str]:
    if preview.payload is None:
        return [veil.text(preview.reason)]
    return veil.body(preview.payload).split("\n")


def _beside(old: Sequence[str], new: Sequence[str]) -> list[Line]:
    """Put two texts beside each other, line by line."""
    lines: list[Line] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        for index in range(max(b - a, d - c)):
            left = old[a + index] if a + index < b else ""
            right = new[c + index] if c + index < d else ""
            lines.append(Line(old=left, new=right, is_same=kind == "equal"))
    return lines
