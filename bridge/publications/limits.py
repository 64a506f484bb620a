"""When Voucherify may be asked again, read from an answer. Pure: no clock, no waiting.

References:
    Voucherify's API reference, "Rate limits".
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

#: What is left to others of a project's calls: e-mails that show a code at the moment
#: they are opened draw on the same ones.
_OTHERS_SHARE = 10
_NUMBER = re.compile(r"[0-9]{1,12}")
#: The limit of a billing cycle, which no waiting of minutes lifts.
_CYCLE = "api_calls_cycle"


def asked_wait(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long a 429 asks to wait; None where it does not say.

    Args:
        headers: Lower-case names; `date` is the clock that the others mean.
    """
    seconds = _number(headers, "retry-after")
    return _until_next(headers) if seconds is None else timedelta(seconds=seconds)


def wait_before_next(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long to wait before the next call, so that it will not be refused."""
    limit = _number(headers, "x-rate-limit-limit")
    left = _number(headers, "x-rate-limit-remaining")
    if left is None or left > (limit or 0) // _OTHERS_SHARE:
        return None
    return _until_next(headers)


def is_used_up(headers: Mapping[str, str]) -> bool:
    """Tell whether the calls of a whole billing cycle are spent."""
    return headers.get("x-rate-limit-type", "").strip() == _CYCLE


def _until_next(headers: Mapping[str, str]) -> timedelta | None:
    """Read `X-Rate-Limit-Retry`, a moment in seconds since 1970."""
    moment = _number(headers, "x-rate-limit-retry")
    sent_at = _date(headers.get("date", ""))
    if moment is None or sent_at is None:
        return None
    wait = timedelta(seconds=moment - sent_at.timestamp())
    return wait if wait > timedelta(0) else None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
        # "-0000" gives a naive one.
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
