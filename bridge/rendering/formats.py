"""Values in the forms that Iterable reads: dates and money."""

import re
from datetime import UTC, datetime

from bridge.rendering.budget import Refusal

_DATE_ONLY = re.compile(r"\d{4}-\d\d-\d\d")
#: One published example of Voucherify has blanks within the time.
_LOOSE_COLON = re.compile(r"\s*:\s*")
_CENTS = 100


def iterable_date(value: object) -> str:
    """Write an ISO 8601 time as Iterable's date fields need it, in UTC.

    A date without a time is left as it is; a time without a zone is UTC.

    Raises:
        Refusal: It is no such time.

    References:
        Segment's Iterable destination converts the same way.
    """
    if not isinstance(value, str):
        raise Refusal("`iterable_date` needs a text such as 2026-08-20T09:15:11.880Z")
    try:
        moment = datetime.fromisoformat(_LOOSE_COLON.sub(":", value.strip()))
        if _DATE_ONLY.fullmatch(value):
            return value
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal("`iterable_date` got a text that is no ISO 8601 time") from None
    return f"{moment.replace(tzinfo=None).isoformat(' ', 'seconds')} +00:00"


def money(cents: object, currency: str = "") -> str:
    """Write an amount, which Voucherify has in cents, with two decimals.

    Args:
        cents: A whole number, perhaps negative.
        currency: What to put behind it, after a blank.

    Raises:
        Refusal: It is no whole number.
    """
    if isinstance(cents, float) and cents.is_integer():
        cents = int(cents)
    if not isinstance(cents, int) or isinstance(cents, bool):
        raise Refusal("`money` needs a whole number of cents")
    whole, rest = divmod(abs(cents), _CENTS)
    text = f"{'-' if cents < 0 else ''}{whole}.{rest:02}"
    return f"{text} {currency}" if currency else text
