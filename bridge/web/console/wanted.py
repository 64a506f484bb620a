"""Filters as they stand in an address: read without trust, written back the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from bridge.model import DeliveryStatus, EventStatus
from bridge.store import DeliveryFilter, EventFilter

#: Rows of one page.
PAGE = 50
#: Spans a list may be limited to, by their names in an address.
SPANS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_LONGEST = 200
_State = TypeVar("_State", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What somebody asked to see; empty texts ask nothing."""

    status: str = ""
    route: str = ""
    search: str = ""
    #: A name of `SPANS`, or a date and time.
    since: str = ""
    before: str = ""

    @property
    def is_anything(self) -> bool:
        """Tell whether anything is asked."""
        return any((self.status, self.route, self.search, self.since, self.before))

    def query(self, **changes: str | None) -> dict[str, str]:
        """Write it back as the fields of an address."""
        fields = {
            "status": self.status,
            "route": self.route,
            "search": self.search,
            "since": self.since,
            "before": self.before,
        }
        return {name: value for name, value in (fields | changes).items() if value}

    def deliveries(
        self, now: datetime, *, after: str | None = None, limit: int = PAGE
    ) -> DeliveryFilter:
        """Ask the ledger for deliveries."""
        return DeliveryFilter(
            status=_state(DeliveryStatus, self.status),
            route=self.route or None,
            search=self.search or None,
            since=_time(self.since, now),
            before=_time(self.before, now),
            limit=limit,
            after=after,
        )

    def events(
        self, now: datetime, *, after: str | None = None, limit: int = PAGE
    ) -> EventFilter:
        """Ask the ledger for events."""
        return EventFilter(
            status=_state(EventStatus, self.status),
            since=_time(self.since, now),
            limit=limit,
            after=after,
        )


def wanted(fields: Mapping[str, str]) -> Wanted:
    """Read what is asked; what makes no sense asks nothing."""
    states = {*DeliveryStatus, *EventStatus}
    status = fields.get("status", "")
    return Wanted(
        status=status if status in states else "",
        route=fields.get("route", "").strip()[:_LONGEST],
        search=fields.get("search", "").strip()[:_LONGEST],
        since=_sound_time(fields.get("since", "")),
        before=_sound_time(fields.get("before", "")),
    )


def _state(kind: type[_State], text: str) -> _State | None:
    return kind(text) if text in set(kind) else None


def _sound_time(text: str) -> str:
    return text if text in SPANS or _date(text) is not None else ""


def _time(text: str, now: datetime) -> datetime | None:
    return now - SPANS[text] if text in SPANS else _date(text)


def _date(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
