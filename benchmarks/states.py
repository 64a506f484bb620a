"""Where deliveries of a made-up ledger stand, and the attempts that led there."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from bridge.model import DeliveryStatus, Lane

_LEASE = timedelta(seconds=30)
_RETRY_WITHIN = 1800
_TOKEN = "00000000-0000-7000-8000-000000000001"
_ACCEPTED = ("SUCCESS", 200, "Success", "status 200, code Success: accepted")
_REFUSED = ("PERMANENT", 400, "InvalidEmailAddressError", "status 400: refused")
_BUSY = ("RETRY", 503, None, "status 503: not processed")
_SILENT = ("unknown", None, None, "no answer within 15 s; the outcome is unknown")
#: State, how often of a thousand, how its last attempt ended (None: never made).
_ENDED = (
    (DeliveryStatus.ACCEPTED, 550, _ACCEPTED),
    (DeliveryStatus.CONFIRMED, 400, _ACCEPTED),
    (DeliveryStatus.UNDELIVERED, 12, _ACCEPTED),
    (DeliveryStatus.DEAD, 12, _REFUSED),
    (DeliveryStatus.SUPPRESSED, 10, _REFUSED),
    (DeliveryStatus.DROPPED, 8, _REFUSED),
    (DeliveryStatus.HELD, 8, None),
)
_WAITING = (
    (DeliveryStatus.PENDING, 979),
    (DeliveryStatus.IN_DOUBT, 20),
    (DeliveryStatus.SENDING, 1),
)
#: Attempts before the last, and how often.
_BEFORE = ((0, 92), (1, 6), (4, 2))
_HELD = "triggered_email.json.j2 line 5: customer.name is empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What a delivery's row says of its state, and its attempts."""

    columns: dict[str, Any]
    attempts: Sequence[dict[str, Any]]


class States:
    """Draws states.

    Args:
        rng: For the draws.
        until: When the ledger ends.
    """

    def __init__(self, rng: Random, until: datetime) -> None:
        self._rng = rng
        self._until = until

    def ended(self, at: datetime) -> State:
        """Draw a state that does not move by itself, of what came at a time."""
        ((status, _, last),) = self._rng.choices(_ENDED, [one[1] for one in _ENDED])
        if last is None:
            return _state(status, at, [], reason=_HELD)
        ((before, _),) = self._rng.choices(_BEFORE, [one[1] for one in _BEFORE])
        tries = [_attempt(at, number + 1, _BUSY) for number in range(before)]
        tries.append(_attempt(at, before + 1, last))
        return _state(status, at, tries, reason=last[3])

    def waiting(self, at: datetime) -> State:
        """Draw a state that does."""
        ((status, _),) = self._rng.choices(_WAITING, [one[1] for one in _WAITING])
        if status is DeliveryStatus.IN_DOUBT:
            tries, due = [_attempt(at, 1, _SILENT)], self._soon()
        elif status is DeliveryStatus.SENDING:
            tries, due = [], self._until + _LEASE
        elif self._rng.random() < 0.1:
            tries, due = [_attempt(at, 1, _BUSY)], self._soon()
        else:
            tries, due = [], at
        reason = tries[0]["reason"] if tries else None
        return _state(status, at, tries, reason=reason, due=due)

    def _soon(self) -> datetime:
        return self._until + timedelta(seconds=self._rng.randrange(_RETRY_WITHIN))


def _state(
    status: DeliveryStatus,
    at: datetime,
    tries: Sequence[dict[str, Any]],
    *,
    reason: str | None,
    due: datetime | None = None,
) -> State:
    lane = Lane.RETRY if due is not None and tries else Lane.FRESH
    columns = {
        "status": status.value,
        "lane": lane.value,
        "due_at": due,
        "token": None if status is DeliveryStatus.PENDING and not tries else _TOKEN,
        "attempts": len(tries),
        "number": len(tries),
        "doubts": int(status is DeliveryStatus.IN_DOUBT),
        "reason": reason,
        "updated_at": tries[-1]["started_at"] if tries else at,
    }
    return State(columns=columns, attempts=tries)


def _attempt(
    at: datetime, number: int, end: tuple[str, int | None, str | None, str]
) -> dict[str, Any]:
    outcome, status, code, reason = end
    return {
        "number": number,
        "started_at": at + timedelta(seconds=2 * number**3),
        "duration_us": 48_000,
        "outcome": outcome,
        "status": status,
        "code": code,
        "reason": reason,
        "request_id": None,
    }
