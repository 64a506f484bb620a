"""Everything that must be right before a start, all at once: problems and notes.

A problem stops the start: something cannot work, whatever webhook comes. A note does
not: something is probably not what was meant, or the shipped samples cannot prove it.
Nothing is printed here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from os import W_OK, access
from pathlib import Path

from bridge import integrations, rendering, routing
from bridge.config import Config, Match, Role, Route, examine, shipped
from bridge.errors import (
    ConfigError,
    Problem,
    RecipientError,
    RenderError,
    StoreUnavailable,
)
from bridge.integrations import Destination, Integration, Source
from bridge.model import Capture, Message, ParsedWebhook
from bridge.recipients import recipient_of
from bridge.rendering import Names, Templates
from bridge.rendering.probe import Probe
from bridge.store import deliveries, file_of, open_store

#: Calls to vendors at the same time.
_PARALLEL = 8
_DELIVERY_ID = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found."""

    #: None where file or environment have problems.
    config: Config | None
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...] = ()


def check(
    path: Path,
    env: Mapping[str, str],
    *roles: Role,
    captures: Iterable[tuple[str, Capture]] = (),
    online: bool = False,
) -> Report:
    """Check file, environment, templates and waiting deliveries.

    Args:
        path: The configuration file.
        env: The environment.
        roles: What the program is about to do.
        captures: The user's own webhooks, each with a name for messages. Templates are
            rendered with them instead of samples, and every failure is a problem.
        online: Ask the destinations as well.
    """
    examined = examine(path, env, *roles, find_integration=integrations.find)
    problems, config = list(examined.problems), examined.config
    names = names_of(map(integrations.find, examined.source_kinds))
    sound = set()
    for where, name in examined.templates:
        found = rendering.lint(examined.folder, name, names)
        problems += [Problem(where, str(one)) for one in found]
        sound |= {name} if not found else set()
    if config is None:
        return Report(config=None, problems=tuple(problems))
    routes = [(i, one) for i, one in enumerate(config.routes) if one.template in sound]
    notes = [
        *_unset_secrets(config),
        *_shadowed(config.routes),
        *_unknown_events(config),
    ]
    sources = integrations.make_sources(config)
    destinations = integrations.make_destinations(config)
    own = list(captures)
    if own:
        problems += _render_own(config, sources, destinations, routes, own)
    for index, route in () if own else routes:
        samples = _samples(route, sources[route.source], config)
        destination = destinations[route.destination]
        found, said = _probe(config, index, route, samples, destination)
        problems, notes = problems + found, notes + said
    problems += ask(config, destinations) if online else ()
    problems += _ledger_problems(config)
    return Report(config=config, problems=tuple(problems), notes=tuple(notes))


def ask(config: Config, destinations: Mapping[str, Destination]) -> list[Problem]:
    """Ask destinations whether each route would work, each campaign once."""
    asked: dict[tuple[object, ...], tuple[int, Route]] = {}
    for index, route in enumerate(config.routes):
        key = (route.destination, route.endpoint, route.campaign_id)
        asked.setdefault(key, (index, route))
    with ThreadPoolExecutor(_PARALLEL) as pool:
        answers = pool.map(
            lambda one: destinations[one[1].destination].check(one[1]), asked.values()
        )
    found: dict[tuple[str, str], list[int]] = {}
    for (index, route), fault in zip(asked.values(), answers, strict=True):
        if fault is not None:
            found.setdefault((route.destination, fault), []).append(index)
    # What is wrong with every campaign is not the campaigns' fault.
    return [
        Problem(f"routes.{indexes[0]}.campaign_id", fault)
        if len(indexes) == 1
        else Problem(f"destinations.{name}", fault)
        for (name, fault), indexes in found.items()
    ]


def names_of(vendors: Iterable[Integration | None]) -> Names:
    """List the names that templates have which are used with these sources."""
    roots, fields = set(rendering.CONTEXT), dict(rendering.FIELDS)
    for vendor in filter(None, vendors):
        roots |= set(vendor.context or ())
        fields |= vendor.context_fields or {}
    return Names(roots=frozenset(roots), fields=fields)


def _probe(
    config: Config,
    index: int,
    route: Route,
    samples: Iterable[tuple[ParsedWebhook, Message]],
    destination: Destination,
) -> tuple[list[Problem], list[Problem]]:
    """Render a route's template with the samples that the route could meet."""
    where = f"routes.{index}.template"
    try:
        probe = Probe(config.templates, route.template)
    except ConfigError as error:
        return [Problem(where, str(one)) for one in error.problems], []
    for parsed, message in samples:
        with suppress(RecipientError):
            probe.try_sample(
                route,
                parsed=parsed,
                message=message,
                recipient=recipient_of(message.customer, ("source_id", "email")),
                destination=destination,
            )
    problems = [] if probe.problem is None else [Problem(where, probe.problem)]
    notes = [
        Problem(
            where,
            f"no sample has what {one} needs ({reason}); prove it with a "
            "webhook of yours: reward-bridge check --capture FILE",
        )
        for one, reason in probe.unproven
    ]
    return problems, notes


def _render_own(
    config: Config,
    sources: Mapping[str, Source],
    destinations: Mapping[str, Destination],
    routes: Sequence[tuple[int, Route]],
    captures: Iterable[tuple[str, Capture]],
) -> Iterator[Problem]:
    """Render the user's own webhooks as they would be sent."""
    places = {route.name: index for index, route in routes}
    templates = Templates(config.templates, {one.template for _, one in routes})
    for name, capture in captures:
        source = sources[capture.source]
        parsed = source.parse(capture)
        if parsed.problem is not None:
            yield Problem(name, parsed.problem)
        for one in routing.plan(parsed, config.routes, source, capture=capture):
            route, customer = one.route, one.message.customer
            if route.name not in places:
                continue
            try:
                templates.render(
                    route,
                    endpoint=routing.endpoint_of(capture, route),
                    parsed=parsed,
                    message=one.message,
                    recipient=recipient_of(customer, route.recipient),
                    delivery_id=_DELIVERY_ID,
                    destination=destinations[route.destination],
                )
            except (RenderError, RecipientError) as error:
                where = f"routes.{places[route.name]}.template"
                yield Problem(where, f"{error} (with {name})")


def _samples(
    route: Route, source: Source, config: Config
) -> list[tuple[ParsedWebhook, Message]]:
    """List shipped samples that the route could meet, or else could be shown."""
    folder = shipped("samples") / config.sources[route.source].kind
    bodies = [one.read_bytes() for one in sorted(folder.glob("*.json"))]
    captures = [Capture(body=one, source=route.source) for one in bodies]
    is_raw = route.match.raw is True
    # Campaigns are the user's own; no sample has their names.
    like = replace(route.match, campaigns=(), raw=is_raw)
    for match in (like, Match(raw=is_raw)):
        candidate = [replace(route, match=match)]
        found = []
        for capture in captures:
            parsed = source.parse(capture)
            planned = routing.plan(parsed, candidate, source, capture=capture)
            found += [(parsed, one.message) for one in planned]
        if found:
            return found
    return []


def _unset_secrets(config: Config) -> Iterator[Problem]:
    """Note secrets that no role needs and without which something does not work."""
    for section in config.destinations.values():
        vendor = integrations.find(section.kind)
        spec = None if vendor is None else vendor.destination_spec
        for secret in () if spec is None else spec.secrets:
            if not secret.required_for and not section.secrets.get(secret.name):
                name = section.variables.get(secret.name)
                where = name or f"destinations.{section.name}.{secret.name}"
                yield Problem(where, f"is not set: {secret.purpose}")


def _shadowed(routes: Sequence[Route]) -> Iterator[Problem]:
    """Note routes that an earlier one leaves nothing for."""
    for index, route in enumerate(routes):
        for earlier in routes[:index]:
            if earlier.source == route.source and _covers(earlier.match, route.match):
                yield Problem(
                    f"routes.{index}.match",
                    f'route "{route.name}" can never match: route "{earlier.name}" '
                    "above takes everything it would take",
                )
                break


def _covers(first: Match, second: Match) -> bool:
    """Tell whether all that matches the second is taken by the first."""
    if first.raw is not None and first.raw is not second.raw:
        return False
    pairs = (
        (first.events, second.events),
        (first.campaigns, second.campaigns),
        (first.vouchers, second.vouchers),
    )
    return all(
        not one or (other and set(other) <= set(one)) or "*" in one
        for one, other in pairs
    )


def _unknown_events(config: Config) -> Iterator[Problem]:
    """Note patterns that fit no event the source is known to send."""
    for index, route in enumerate(config.routes):
        vendor = integrations.find(config.sources[route.source].kind)
        known = () if vendor is None else vendor.known_events
        for pattern in map(routing.event_pattern, route.match.events if known else ()):
            fits = (
                fnmatchcase(one, pattern) or fnmatchcase(pattern, one) for one in known
            )
            if not any(fits):
                near = get_close_matches(pattern, known, n=1)
                hint = f". Did you mean `{near[0]}`?" if near else ""
                yield Problem(
                    f"routes.{index}.match.events",
                    f'route "{route.name}": no message is made of an event '
                    f"`{pattern}`{hint}",
                )


def _ledger_problems(config: Config) -> list[Problem]:
    """Find out whether the ledger can be used, without making its file."""
    try:
        file = file_of(config.database_url)
        fault = None if file is None else _file_fault(file)
        if fault is not None:
            return [Problem("DATABASE_URL", fault)]
        with closing(open_store(config.database_url)) as store:
            if not (store.exists() and store.is_current()):
                return []
            with store.read() as tx:
                waiting = sorted(deliveries.waiting_routes(tx))
    except ConfigError as error:
        return list(error.problems)
    except StoreUnavailable as error:
        # A server that is away comes back: no reason not to start.
        is_server = file is None
        return [] if is_server else [Problem("DATABASE_URL", error.reason)]
    return [
        Problem(
            "routes",
            f"deliveries wait for route {name}, which is no longer configured (add it, "
            "or list it in a route's `previous_names`)",
        )
        for name in waiting
        if config.route(name) is None
    ]


def _file_fault(path: Path) -> str | None:
    try:
        # The longest name beside it; asking for one that is too long is an error.
        path.with_name(f"{path.name}.lock").lstat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        return f"its path cannot be used: {getattr(error, 'strerror', 'not a path')}"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if path.exists() and not path.is_file():
        return f"{path} is no file"
    if not all(access(one, W_OK) for one in (path, path.parent) if one.exists()):
        return f"{path} cannot be written"
    return None
