"""The routes of the file: each checked alone, then against the sections it names.

A look-up file (CSV, two columns) says which user id a customer has at the destination.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.config.file import Place, Problems, nearest
from bridge.config.schema import RENAMED, RouteSchema
from bridge.config.sections import SectionReader
from bridge.config.settings import (
    Lookup,
    OnUnknownOutcome,
    RecipientRule,
    Route,
    SectionSpec,
    lookup_key,
)

_COLUMNS = 2
_HEADER = ["from", "user_id"]


@dataclass(slots=True, kw_only=True)
class RouteReader:
    """Reads routes; problems go to `problems`."""

    problems: Problems
    sections: SectionReader
    #: The configuration file: look-up tables are relative to its folder.
    path: Path
    #: Folder of the templates.
    folder: Path
    #: (`routes.0.template`, name) of the template files that are there.
    templates: list[tuple[str, str]] = field(default_factory=list)

    def read(self, raw: Any) -> tuple[Route, ...]:
        """Read all routes; those with problems are left out."""
        routes = raw if isinstance(raw, list) else []
        self._check_names(routes)
        found = [self._route(("routes", i), one) for i, one in enumerate(routes)]
        return tuple(one for one in found if one is not None)

    def _route(self, place: Place, raw: Any) -> Route | None:
        raw = self.problems.take_renamed(raw, RENAMED["route"], place)
        given = raw if isinstance(raw, dict) else {}
        self._check_template(place, given.get("template"))
        source = destination = spec = None
        if given:
            source = self._section(place, "from", given.get("from"))
            destination = self._section(place, "to", given.get("to"))
            spec = self.sections.specs.get(("destinations", destination or ""))
        endpoint = self._endpoint(place, given.get("endpoint"), spec)
        data = self.problems.load(RouteSchema(), raw, place)
        if data is None:
            return None
        rules = (
            data["recipient"] or ["source_id", "email"][: 1 + bool(data["match"].raw)]
        )
        data["recipient"] = tuple(self._rule(place, one) for one in rules)
        if source is None or destination is None or spec is None:
            return None
        self._check_campaign(place, data, endpoint, spec)
        del data["from_"], data["to"]
        return Route(
            **data
            | {
                "source": source,
                "destination": destination,
                "endpoint": endpoint,
                "on_unknown_outcome": self._policy(place, data, endpoint, spec),
                "min_validity": data["min_validity"] or timedelta(0),
            }
        )

    def _section(self, place: Place, setting: str, given: Any) -> str | None:
        """Choose the section a route names; it may be left out while there is one."""
        group = "sources" if setting == "from" else "destinations"
        known = [name for of, name in self.sections.specs if of == group]
        if given is None and len(known) == 1:
            return known[0]
        if given in known:
            return str(given)
        fault = f"is needed: one of {', '.join(known)}"
        if given is not None:
            fault = (
                f"there is no `{given}` below `{group}:`{nearest(str(given), known)}"
            )
        self.problems.add((*place, setting), fault)
        return None

    def _rule(self, place: Place, rule: Any) -> RecipientRule:
        if not isinstance(rule, dict):
            found: RecipientRule = rule
            return found
        path = self.path.parent / rule["lookup"]
        try:
            return read_lookup(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            fault = f"look-up file {rule['lookup']}: {reason}"
            self.problems.add((*place, "recipient"), fault)
            return Lookup(path=path, table={})

    def _endpoint(self, place: Place, given: Any, spec: SectionSpec | None) -> str:
        known = () if spec is None else spec.endpoints
        if given is None:
            return known[0] if known else ""
        endpoint = str(given).strip("/")
        if known and endpoint not in known:
            fault = f"must be one of {', '.join(known)}{nearest(endpoint, list(known))}"
            self.problems.add((*place, "endpoint"), fault)
        return endpoint

    def _check_campaign(
        self, place: Place, data: dict[str, Any], endpoint: str, spec: SectionSpec
    ) -> None:
        is_needed = endpoint in spec.campaign_endpoints
        if is_needed and data["campaign_id"] is None and not data["match"].raw:
            self.problems.add(
                (*place, "campaign_id"),
                f"is needed for {endpoint} (only routes with `match: {{raw: true}}` "
                "find it in the body)",
            )

    def _policy(
        self, place: Place, data: dict[str, Any], endpoint: str, spec: SectionSpec
    ) -> OnUnknownOutcome:
        given: OnUnknownOutcome | None = data["on_unknown_outcome"]
        is_verifiable = endpoint in spec.verifiable_endpoints
        if given is None:
            return "verify" if is_verifiable else "hold"
        if given == "verify" and not is_verifiable:
            fault = f"{endpoint} cannot be asked what it sent: choose resend or hold"
            self.problems.add((*place, "on_unknown_outcome"), fault)
        return given

    def _check_template(self, place: Place, name: Any) -> None:
        if not isinstance(name, str) or not name:
            return
        parts = Path(name)
        below = (*place, "template")
        if parts.is_absolute() or ".." in parts.parts:
            fault = f"must be the name of a file below {self.folder}: {name}"
            self.problems.add(below, fault)
        elif not (self.folder / name).is_file():
            self.problems.add(below, f"no such file below {self.folder}: {name}")
        else:
            self.templates.append((".".join(map(str, below)), name))

    def _check_names(self, routes: Sequence[Any]) -> None:
        """Each name, present or previous, belongs to one route."""
        counted: Counter[str] = Counter()
        for index, route in enumerate(routes):
            for name in _names(route):
                counted[name] += 1
                if counted[name] > 1:
                    fault = f"the name `{name}` is used more than once"
                    self.problems.add(("routes", index, "name"), fault)


def _names(route: Any) -> list[str]:
    if not isinstance(route, dict):
        return []
    previous = route.get("previous_names")
    names = [route.get("name"), *(previous if isinstance(previous, list) else ())]
    return [one for one in names if isinstance(one, str)]


def read_lookup(path: Path) -> Lookup:
    """Read a CSV of two columns, `from` (customer id or e-mail address) and `user_id`.

    UTF-8, with or without a byte order mark. A first line `from,user_id` and empty
    lines are left out.

    Raises:
        ValueError: With the line and what is wrong with it.
        OSError: The file cannot be read.
    """
    table: dict[str, str] = {}
    lines: dict[str, int] = {}
    for number, row in _rows(_text(path.read_bytes())):
        if len(row) != _COLUMNS:
            hint = " (separate them by a comma)" if ";" in "".join(row) else ""
            raise ValueError(f"line {number} has not exactly two columns{hint}")
        name, user_id = (cell.strip() for cell in row)
        if not name or not user_id:
            raise ValueError(f"line {number} has an empty cell")
        key = lookup_key(name)
        if key in table:
            raise ValueError(f"line {number} has the customer of line {lines[key]}")
        table[key], lines[key] = user_id, number
    return Lookup(path=path, table=table)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            is_header = reader.line_num == 1 and [one.strip() for one in row] == _HEADER
            if any(cell.strip() for cell in row) and not is_header:
                yield reader.line_num, row
    except csv.Error:
        raise ValueError(f"line {reader.line_num} has a quote out of place") from None


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("is UTF-16: save it as CSV UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line} is not UTF-8 (perhaps Windows-1252): save it as CSV UTF-8"
        ) from None
