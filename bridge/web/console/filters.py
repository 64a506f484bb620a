"""What is typed into the pages: filters of a list, and reasons for the audit log."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from flask import request

from bridge.model import DeliveryFilter, DeliveryStatus, EventFilter, EventStatus

#: Rows of one page.
PAGE = 50
#: Spans a list may be limited to, by their names in an address.
SPANS: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
_MAX_LENGTH, _MAX_REASON = 200, 500
_State = TypeVar("_State", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFilters:
    """The filters of one page; empty texts filter nothing."""

    status: str = ""
    route: str = ""
    search: str = ""
    #: A name of `SPANS`, or a date and time; so is `before`.
    since: str = ""
    before: str = ""

    @property
    def is_set(self) -> bool:
        """Tell whether anything is filtered."""
        return self != ListFilters()

    def query(self, **changes: str | None) -> dict[str, str]:
        """Write them back as the fields of a query string."""
        named = asdict(self) | changes
        return {name: value for name, value in named.items() if value}

    def deliveries(self, now: datetime, *, after: str | None = None) -> DeliveryFilter:
        """Make the filter of one page of deliveries."""
        return DeliveryFilter(
            status=_state(DeliveryStatus, self.status),
            route=self.route or None,
            search=self.search or None,
            since=_time(self.since, now),
            before=_time(self.before, now),
            limit=PAGE,
            after=after,
        )

    def events(self, now: datetime, *, after: str | None = None) -> EventFilter:
        """Make the filter of one page of events."""
        return EventFilter(
            status=_state(EventStatus, self.status),
            since=_time(self.since, now),
            limit=PAGE,
            after=after,
        )


def parse_filters(typed: Mapping[str, str]) -> ListFilters:
    """Read filters; a value without meaning filters nothing."""
    found = {
        field.name: typed.get(field.name, "").replace("\0", "").strip()[:_MAX_LENGTH]
        for field in fields(ListFilters)
    }
    if found["status"] not in {*DeliveryStatus, *EventStatus}:
        del found["status"]
    for name in ("since", "before"):
        if found[name] not in SPANS and _date(found[name]) is None:
            del found[name]
    return ListFilters(**found)


def typed_reason() -> str:
    """Return the reason that was typed into a form, for the audit log."""
    return request.form.get("reason", "").strip()[:_MAX_REASON]


def _state(kind: type[_State], text: str) -> _State | None:
    return kind(text) if text in set(kind) else None


def _time(text: str, now: datetime) -> datetime | None:
    return now - SPANS[text] if text in SPANS else _date(text)


def _date(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        aware = found if found.tzinfo else found.replace(tzinfo=UTC)
        return aware.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
