"""Which of the sends that are in doubt Iterable shows, told by counting.

Iterable shows that a person was sent something through a campaign, not what. So what
the ledger explains otherwise is taken off, and the rest compared with what is in doubt.
Pure: no clock, no I/O.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge.model import Cause, Json, Recipient, UserId

#: How far Iterable's clock may differ from this one after both were compared.
SKEW = timedelta(seconds=30)
#: Media whose messages Iterable does not list.
UNLISTED = frozenset({"webPush/target", "whatsApp/target"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Whom a payload is for, and through which campaign."""

    person: Recipient
    campaign_id: int
    #: True where it goes out at a time of its own.
    is_scheduled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """A send that the ledger explains by something else than what is in doubt."""

    started_at: datetime
    ended_at: datetime
    #: False where it may not have gone out.
    is_certain: bool
    is_scheduled: bool = False


def target_of(payload: bytes | None) -> Target | None:
    """Read whom a payload is for; None where there is none to read."""
    if payload is None:
        return None
    try:
        body: Json = json.loads(payload)
    except ValueError:
        return None
    if not isinstance(body, dict) or type(body.get("campaignId")) is not int:
        return None
    user_id, email = body.get("recipientUserId"), body.get("recipientEmail")
    # Iterable goes by the address where it is given both.
    if isinstance(email, str):
        person = Recipient(email=email)
    elif isinstance(user_id, str):
        person = Recipient(user_id=UserId(user_id))
    else:
        return None
    return Target(
        person=person,
        campaign_id=body["campaignId"],
        is_scheduled=body.get("sendAt") is not None,
    )


def window(begin: datetime, sends: Iterable[Send], lag: timedelta) -> datetime:
    """Find the time from which on to ask: before the first doubt, and between sends.

    A send that Iterable may show on either side of it would be explained or not by
    chance, so the time moves back until there is none.

    Args:
        begin: When the first send in doubt began.
        sends: What else the ledger knows of.
        lag: How much later than the call Iterable may date a message.
    """
    since = begin - SKEW
    plain = (one for one in sends if not one.is_scheduled)
    for send in sorted(plain, key=lambda one: one.ended_at, reverse=True):
        if send.ended_at + lag + SKEW < since:
            break
        since = min(since, send.started_at - SKEW)
    return since.replace(microsecond=0)


def conclude(
    found: int, doubts: int, sends: Sequence[Send], since: datetime
) -> tuple[Cause, str]:
    """Say what becomes of all that is in doubt for one person and campaign.

    Args:
        found: Messages Iterable shows since `since`.
        doubts: Deliveries in doubt.
        sends: What else the ledger knows of.
        since: See `window`.

    Returns:
        What was found out, and why, in plain words.
    """
    known = [one for one in sends if one.is_scheduled or one.started_at >= since]
    most = len(known)
    least = sum(one.is_certain for one in known)
    if found < least:
        shows = f"shows {found} messages of {least} it accepted"
        return Cause.CHECK_FAILED, f"checked in vain: Iterable {shows}"
    if found - most >= doubts:
        return Cause.CHECK_FOUND, "checked: Iterable shows the message"
    if found == least:
        return Cause.CHECK_NOT_FOUND, "checked: Iterable shows no such message"
    span = f"{max(found - most, 0)} to {min(found - least, doubts)}"
    return (
        Cause.CHECK_UNDECIDABLE,
        f"sent perhaps: Iterable shows {span} of {doubts}; which, nobody can tell",
    )
