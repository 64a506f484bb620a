"""What comes in: one call, and the list of those that came."""

import json
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from threading import Lock
from typing import Any
from urllib.parse import parse_qs

from bridge.model import Json

#: Stands for a body that is not JSON; JSON itself may be null.
NO_JSON: Any = object()
_UNREAD: Any = object()


@dataclass(slots=True, kw_only=True)
class Call:
    """One HTTP request, read whole."""

    method: str
    path: str
    query: str
    #: Lower-case names.
    headers: Mapping[str, str]
    body: bytes
    _document: Json = field(default=_UNREAD, init=False, repr=False)

    @property
    def document(self) -> Json:
        """The body as JSON, or `NO_JSON`; read once."""
        if self._document is _UNREAD:
            try:
                self._document = json.loads(self.body.decode("utf-8"))
            except (ValueError, RecursionError):
                self._document = NO_JSON
        return self._document

    @property
    def parameters(self) -> dict[str, list[str]]:
        """The query, each name with all its values."""
        return parse_qs(self.query)

    @property
    def user(self) -> str | None:
        """Whom the call is about: the e-mail address wins, as it does at Iterable."""
        return self._text("recipientEmail", "email", "recipientUserId", "userId")

    @property
    def campaign(self) -> int | None:
        """The campaign named, where it is a number."""
        document = self.document
        named = document.get("campaignId") if isinstance(document, dict) else None
        return named if type(named) is int else None

    def _text(self, *names: str) -> str | None:
        document = self.document
        if isinstance(document, dict):
            values = (document.get(name) for name in names)
        else:
            asked = self.parameters
            values = (asked.get(name, [None])[0] for name in names)
        return next((one for one in values if isinstance(one, str)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One call as it came, and what it got."""

    #: From 1; goes on counting when the list is cleared.
    number: int
    #: Seconds since 1970.
    at: float
    method: str
    path: str
    query: str
    raw: bytes
    #: What the caller was answered, or was going to be; None for a connection cut.
    status: int | None
    user: str | None
    campaign: int | None
    #: When the message goes out, in seconds since 1970; None where it never does.
    due: float | None

    @property
    def time(self) -> datetime:
        """When it came, UTC."""
        return datetime.fromtimestamp(self.at, UTC)

    @property
    def is_accepted(self) -> bool:
        """Whether a message goes out, whatever the caller was answered."""
        return self.due is not None

    @property
    def body(self) -> Json:
        """The body as JSON; as text where it is none."""
        try:
            return json.loads(self.raw.decode("utf-8"))
        except (ValueError, RecursionError):
            return self.raw.decode("utf-8", "replace")

    def shown(self) -> dict[str, Json]:
        """Describe the call for the control door."""
        return {
            "number": self.number,
            "time": self.time.isoformat(),
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "user": self.user,
            "campaign": self.campaign,
            "status": self.status,
            "accepted": self.is_accepted,
            "body": self.body,
        }


class Inbox:
    """The calls received, oldest first; safe to use from several threads.

    Args:
        keep: How many to keep; the oldest are forgotten beyond that.
    """

    def __init__(self, keep: int = 100_000) -> None:
        self._keep = keep
        self._calls: deque[Received] = deque()
        #: The same by whom they are about, as `name_of` writes it.
        self._by_user: dict[str, deque[Received]] = {}
        self._number = 0
        self._lock = Lock()

    def add(
        self, call: Call, *, at: float, status: int | None, due: float | None
    ) -> None:
        """Keep a call."""
        user, campaign = call.user, call.campaign
        with self._lock:
            self._number += 1
            received = Received(
                number=self._number,
                at=at,
                method=call.method,
                path=call.path,
                query=call.query,
                raw=call.body,
                status=status,
                user=user,
                campaign=campaign,
                due=due,
            )
            self._calls.append(received)
            self._by_user.setdefault(name_of(user), deque()).append(received)
            if len(self._calls) > self._keep:
                self._forget(self._calls.popleft())

    def _forget(self, oldest: Received) -> None:
        name = name_of(oldest.user)
        self._by_user[name].popleft()
        if not self._by_user[name]:
            del self._by_user[name]

    def about(self, names: Iterable[str]) -> list[Received]:
        """List the calls about a person, by any of these names, oldest first."""
        with self._lock:
            found = [one for name in names for one in self._by_user.get(name, ())]
        return sorted(found, key=lambda one: one.number)

    def calls(self, *, since: int = 0) -> list[Received]:
        """List the calls whose number is above `since`."""
        with self._lock:
            # The numbers kept have no gaps, so the place of the first is known.
            have = len(self._calls)
            wanted = min(max(self._number - since, 0), have)
            return list(islice(self._calls, have - wanted, None))

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._calls.clear()
            self._by_user.clear()


def name_of(user: str | None) -> str:
    """Make names comparable: of an address, Iterable ignores the case."""
    text = user or ""
    return text.lower() if "@" in text else text
