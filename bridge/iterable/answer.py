"""One reply read: what may be known of it, and nothing personal beyond this module.

Pure: no clock, no I/O.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from bridge.http import Reply
from bridge.model import Json
from bridge.retry import MAX_RETRY_AFTER

# What does not look like this is not repeated in logs and tables: nobody knows what
# a proxy, or the next version of the service, puts in its place.
_CODE = re.compile(r"[A-Za-z][A-Za-z.]{0,63}")
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.\[\]]{0,63}")
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_KEYS = 10
#: Ten digits of seconds exceed the cap; with some thousands `int` fails.
_SECONDS = re.compile(r"[0-9]{1,10}|(?P<absurd>[0-9]+)")
_MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A reply, read leniently: any field may be missing or of any type."""

    status: int
    code: str | None
    #: Names of what `params` holds.
    keys: tuple[str, ...]
    request_id: str | None
    #: False where the body is not a JSON object, or was cut.
    is_readable: bool
    headers: Mapping[str, str] = field(repr=False)
    params: Mapping[str, Json] = field(repr=False)
    #: The text in lower case, for the three looks the contract permits (4.4).
    text: str = field(repr=False)
    document: Json = field(repr=False)

    @property
    def scheduled_message_id(self) -> int | None:
        """The id under which a scheduled message can be cancelled."""
        value = self.params.get("scheduledMessageId")
        if not isinstance(value, int) or isinstance(value, bool):
            return None
        return value if 0 < value <= _MAX_ID else None

    @property
    def retry_after(self) -> timedelta | None:
        """What the other side asks to wait, within the cap; None for no usable wish."""
        header = self.headers.get("retry-after")
        asked = None if header is None else self._in_header(header.strip())
        if asked is None:
            asked = _in_params(self.params.get("rateLimitReset"))
        return None if asked is None or asked <= timedelta(0) else asked

    def _in_header(self, text: str) -> timedelta | None:
        """Read seconds or a date, which counts from the answer's own `Date`.

        References:
            RFC 9110, 10.2.3.
        """
        match = _SECONDS.fullmatch(text)
        if match is not None:
            is_absurd = match["absurd"] is not None
            return MAX_RETRY_AFTER if is_absurd else _capped(int(text))
        until, now = date_of(text), date_of(self.headers.get("date", ""))
        if until is None or now is None:
            return None
        return min(until - now, MAX_RETRY_AFTER)


def read(reply: Reply) -> Answer:
    """Read a reply; never fails."""
    document: Json = None
    with suppress(ValueError, RecursionError):
        document = json.loads(reply.body)
    body = document if isinstance(document, dict) else {}
    params = body.get("params")
    params = params if isinstance(params, dict) else {}
    text = body.get("msg")
    return Answer(
        status=reply.status,
        code=_known(_CODE, body.get("code")),
        keys=tuple(key for key in params if _KEY.fullmatch(key))[:_MAX_KEYS],
        request_id=_known(_REQUEST_ID, reply.headers.get("iterable-request-id")),
        is_readable=isinstance(document, dict) and not reply.is_truncated,
        headers=reply.headers,
        params=params,
        text=text.lower() if isinstance(text, str) else "",
        document=document,
    )


def _known(form: re.Pattern[str], value: Json) -> str | None:
    return value if isinstance(value, str) and form.fullmatch(value) else None


def _in_params(value: Json) -> timedelta | None:
    """Read `rateLimitReset`, in seconds."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # The comparison is false for NaN.
    return _capped(value) if is_number and value > 0 else None


def _capped(seconds: float) -> timedelta:
    return timedelta(seconds=min(seconds, MAX_RETRY_AFTER.total_seconds()))


def date_of(text: str) -> datetime | None:
    """Read a date as headers have it; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
        # "-0000" gives a naive one.
        return date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
