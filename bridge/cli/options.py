"""Options and kinds of arguments that several commands have."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID

import click

from bridge import bootstrap
from bridge.model import DeliveryStatus

Function = TypeVar("Function", bound=Callable[..., Any])

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGE = re.compile(r"(\d{1,9})([smhd])")


def parse_when(text: str) -> datetime:
    """Read a time: an age (`90s`, `15m`, `72h`, `30d`), or a date and time.

    Without an offset a date is UTC.

    Raises:
        BadParameter: It is neither.
    """
    try:
        age = _AGE.fullmatch(text)
        if age is not None:
            return bootstrap.now() - timedelta(seconds=int(age[1]) * _UNITS[age[2]])
        time = datetime.fromisoformat(text)
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        raise click.BadParameter(
            f"{text!r} is neither an age (90s, 15m, 72h, 30d) nor a date "
            "(2026-08-21, 2026-08-21T09:00:00Z)"
        ) from None


def parse_id(text: str) -> str:
    """Bring the id of an event or a delivery into the form the ledger writes.

    Raises:
        BadParameter: It is no id.
    """
    try:
        return str(UUID(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is no id") from None


def since_option(function: Function) -> Function:
    """Add `--since`."""
    return click.option(
        "--since",
        type=parse_when,
        metavar="WHEN",
        help="Only later ones: 90s, 15m, 72h or 30d ago, or a date and time (UTC).",
    )(function)


def json_option(function: Function) -> Function:
    """Add `--json`."""
    return click.option(
        "as_json", "--json", is_flag=True, help="Print JSON Lines, one object each."
    )(function)


def yes_option(function: Function) -> Function:
    """Add `--yes`."""
    return click.option(
        "is_sure", "--yes", is_flag=True, help="Apply the plan without asking."
    )(function)


def status_option(states: type[StrEnum]) -> Callable[[Function], Function]:
    """Add `--status`, one of these states."""
    return click.option(
        "--status",
        type=click.Choice([state.value for state in states], case_sensitive=False),
        callback=lambda _context, _option, text: None if text is None else states(text),
        metavar="STATUS",
        help=f"Only this status: {', '.join(states)}.",
    )


def delivery_filters(function: Function) -> Function:
    """Add the filters by which deliveries are found."""
    for option in (
        since_option,
        click.option(
            "--search",
            metavar="TEXT",
            help="Recipient, code, campaign, customer id, key or id, whole or its "
            "beginning.",
        ),
        click.option("--route", metavar="NAME", help="Only this route."),
        status_option(DeliveryStatus),
    ):
        function = option(function)
    return function


def limit_option(function: Function) -> Function:
    """Add `--limit`."""
    return click.option(
        "--limit",
        type=click.IntRange(1, 1_000_000),
        default=50,
        show_default=True,
        help="List at most this many, the newest first.",
    )(function)
