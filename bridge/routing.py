"""Which route each reward takes. Pure: routes and rewards in, a plan out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bridge.config import Condition, Route
from bridge.model import Capture, Parsed, Reward
from bridge.voucherify import is_publication, whole_publication


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One reward on one route: a delivery, or a reason to wait for the rest of it."""

    route: Route
    reward: Reward
    #: True where one message shall carry all codes and the event shows only some.
    is_partial: bool


def plan(
    parsed: Parsed, routes: Sequence[Route], *, door: str | None = None
) -> tuple[Planned, ...]:
    """Take each reward to the first route that wants it.

    A `per: publication` route takes the publication whole, its other vouchers too:
    a code told there is told nowhere else.

    Args:
        parsed: A webhook read; one with a problem has no rewards and no plan.
        routes: In the order of the configuration.
        door: Endpoint named by the drop-in door. What comes in there is Iterable's own
            request, so only routes that ask for those are considered.
    """
    if door is not None:
        routes = [route for route in routes if route.when.raw is True]
    matches = [
        (reward, _first(routes, reward, parsed.event_type)) for reward in parsed.rewards
    ]
    wholes = _wholes(matches)
    planned: dict[str, Planned] = {}
    for reward, route in matches:
        whole = wholes.get(reward.publication_id)
        if whole is not None:
            planned.setdefault(whole.reward.key, whole)
        elif route is not None:
            one = Planned(route=route, reward=reward, is_partial=False)
            planned.setdefault(reward.key, one)
    return tuple(planned.values())


def endpoint_of(capture: Capture, route: Route) -> str:
    """Return the endpoint to post to: the drop-in door's own wins."""
    return route.endpoint if capture.door is None else capture.door


def _first(
    routes: Iterable[Route], reward: Reward, event_type: str | None
) -> Route | None:
    for route in routes:
        if _matches(route.when, reward, event_type):
            return route
    return None


def _wholes(
    matches: Sequence[tuple[Reward, Route | None]],
) -> dict[str | None, Planned]:
    """Merge each publication that a `per: publication` route wants."""
    wholes: dict[str | None, Planned] = {}
    for reward, route in matches:
        name = reward.publication_id
        if route is None or route.per != "publication" or not is_publication(reward):
            continue
        if name not in wholes:
            siblings = [
                one
                for one, _ in matches
                if is_publication(one) and one.publication_id == name
            ]
            whole = whole_publication(siblings)
            is_partial = whole.published > len(whole.vouchers)
            wholes[name] = Planned(route=route, reward=whole, is_partial=is_partial)
    return wholes


def _matches(when: Condition, reward: Reward, event_type: str | None) -> bool:
    if when.raw is not None and when.raw != (reward.raw is not None):
        return False
    if when.events and not _any_fits((event_type,), when.events):
        return False
    if when.campaigns and not _any_fits(_campaigns(reward), when.campaigns):
        return False
    return not when.vouchers or not _types(reward).isdisjoint(when.vouchers)


def _any_fits(values: Iterable[object], patterns: Sequence[str]) -> bool:
    # Equality first: a name may hold brackets, which a pattern would read otherwise.
    return any(
        value == pattern or fnmatchcase(value, pattern)
        for value in values
        if isinstance(value, str)
        for pattern in patterns
    )


def _campaigns(reward: Reward) -> list[object]:
    names = [reward.campaign.get("name"), reward.campaign.get("id")]
    for voucher in reward.vouchers:
        names += [voucher.get("campaign"), voucher.get("campaign_id")]
    return names


def _types(reward: Reward) -> set[str]:
    if not reward.vouchers and not reward.codes:
        return {"NONE"}
    types = (voucher.get("type") for voucher in reward.vouchers)
    return {type_ for type_ in types if isinstance(type_, str)}
