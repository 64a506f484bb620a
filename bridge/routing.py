"""Which route each message takes. Pure: routes and messages in, a plan out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Protocol

from bridge.config import Match, Route
from bridge.model import Capture, Message, ParsedWebhook

#: A compatible endpoint that names a campaign and no medium: the route's own endpoint
#: is used.
ROUTE_DECIDES = "campaigns/trigger"
#: Before event names in a vendor's reference, where they are written in capitals.
_REFERENCE_PREFIX = "EVENTS."


class Merging(Protocol):
    """The part of a source that planning needs."""

    def merge(self, messages: Sequence[Message]) -> Message:
        """Merge the messages of one group into one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One message on one route: a delivery, or a reason to wait for the rest of it."""

    route: Route
    message: Message
    #: True where one message must show its whole group and the event has only a part.
    is_partial: bool


def plan(
    parsed: ParsedWebhook,
    routes: Sequence[Route],
    source: Merging,
    *,
    capture: Capture,
) -> tuple[Planned, ...]:
    """Take each message to the first route that matches it.

    A `group_by: publication` route takes the whole group, its other messages too: a
    code shown there is shown nowhere else.

    Args:
        parsed: A webhook read; one with a problem has no messages and no plan.
        routes: In the order of the configuration; those of another source are skipped.
        source: Merges the messages of a group.
        capture: Where the webhook came in. What arrives at a compatible endpoint is a
            destination's own request, so only routes with `match: {raw: true}` are
            considered.
    """
    candidates = [
        route
        for route in routes
        if route.source == capture.source
        and (capture.endpoint is None or route.match.raw is True)
    ]
    matches = [
        (message, _first(candidates, message, parsed.event_type))
        for message in parsed.messages
    ]
    merged = _merged(matches, source)
    planned: dict[str, Planned] = {}
    for message, route in matches:
        whole = None if message.group is None else merged.get(message.group.id)
        if whole is not None:
            planned.setdefault(whole.message.key, whole)
        elif route is not None:
            one = Planned(route=route, message=message, is_partial=False)
            planned.setdefault(message.key, one)
    return tuple(planned.values())


def endpoint_of(capture: Capture, route: Route) -> str:
    """Return the destination endpoint: the compatible endpoint's own wins."""
    if capture.endpoint in (None, ROUTE_DECIDES):
        return route.endpoint
    return capture.endpoint or route.endpoint


def unmatched_reason(
    parsed: ParsedWebhook, routes: Sequence[Route], *, capture: Capture
) -> str:
    """Say why an event without a plan is ignored, naming a pattern that nearly fits."""
    event_type = parsed.event_type
    if not parsed.messages:
        return f"{event_type or 'the webhook'} asks for no message"
    mine = [route for route in routes if route.source == capture.source]
    if capture.endpoint is not None and not any(one.match.raw for one in mine):
        return "no route matches raw bodies (`match: {raw: true}`)"
    reason = f"no route matches {event_type or 'this raw body'}"
    patterns = {event_pattern(one): one for route in mine for one in route.match.events}
    near = get_close_matches(event_type or "", patterns, n=1, cutoff=0.8)
    if near and near[0] != event_type:
        return f"{reason}; the nearest pattern is {patterns[near[0]]}"
    return reason


def event_pattern(pattern: str) -> str:
    """Read a pattern of event types; `EVENTS.CUSTOMER.REWARDED` is as good."""
    if not pattern.startswith(_REFERENCE_PREFIX):
        return pattern
    return pattern.removeprefix(_REFERENCE_PREFIX).lower()


def _first(
    routes: Iterable[Route], message: Message, event_type: str | None
) -> Route | None:
    for route in routes:
        if _matches(route.match, message, event_type):
            return route
    return None


def _merged(
    matches: Sequence[tuple[Message, Route | None]], source: Merging
) -> dict[str, Planned]:
    """Merge each group of which a route that groups wants a part."""
    merged: dict[str, Planned] = {}
    for message, route in matches:
        group = message.group
        if route is None or route.group_by != "publication" or group is None:
            continue
        if group.id not in merged:
            members = [
                one
                for one, _ in matches
                if one.group is not None and one.group.id == group.id
            ]
            whole = source.merge(members)
            size = group.size if whole.group is None else whole.group.size
            merged[group.id] = Planned(
                route=route, message=whole, is_partial=size > len(members)
            )
    return merged


def _matches(match: Match, message: Message, event_type: str | None) -> bool:
    if match.raw is not None and match.raw != (message.raw is not None):
        return False
    patterns = [event_pattern(one) for one in match.events]
    types = () if event_type is None else (event_type,)
    if patterns and not _any_fits(types, patterns):
        return False
    if match.campaigns and not _any_fits(message.campaigns, match.campaigns):
        return False
    return not match.vouchers or not set(match.vouchers).isdisjoint(
        message.voucher_types
    )


def _any_fits(values: Iterable[str], patterns: Sequence[str]) -> bool:
    # Equality first: a name may hold brackets, which a pattern would read otherwise.
    return any(
        value == pattern or fnmatchcase(value, pattern)
        for value in values
        for pattern in patterns
    )
