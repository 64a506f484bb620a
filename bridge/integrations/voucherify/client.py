"""Voucherify's API: one question at a time, asked again where that may help.

Every question here only reads, so asking twice does no harm.

References:
    Voucherify's API reference, "List Publications", "Get Voucher" and "Rate limits".
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import quote

from bridge.config import SourceConfig
from bridge.errors import ReasonError, TransportError, VendorError, VendorRejected
from bridge.http import HttpClient, Reply, date_of
from bridge.model import Json

#: How often one question is asked in all.
TRIES = 6
#: Longest wait that is taken: a sandbox project counts its calls by the hour.
LONGEST_WAIT = timedelta(minutes=61)
#: For one call.
TIMEOUT = timedelta(seconds=30)
#: A page of a hundred publications may be long: each carries its customer's metadata.
MAX_REPLY_BYTES = 32 * 1024 * 1024
#: Longer waits are announced.
_WORTH_SAYING = timedelta(seconds=2)
_FIRST_WAIT = timedelta(seconds=1)
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BUSY = 200, 401, 403, 404, 429
_SERVER_ERRORS = 500
#: What is left to others of a project's calls: e-mails that show a code at the moment
#: they are opened draw on the same ones.
_OTHERS_SHARE = 10
#: The limit of a billing cycle, which no waiting of minutes lifts.
_CYCLE = "api_calls_cycle"
_NUMBER = re.compile(r"[0-9]{1,12}")
# What does not look like this is not repeated: it may be anything.
_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")


class _TryAgainError(ReasonError):
    """This try failed in a way the next one may not."""

    def __init__(self, reason: str, wait: timedelta | None = None) -> None:
        #: What the other side asks for, None for nothing.
        self.wait = wait
        super().__init__(reason)


class VoucherifyClient:
    """Voucherify's API as far as reconciliation needs it.

    Args:
        http: Makes the calls.
        config: Where it is, and `secrets["app_id"]` and `secrets["app_token"]`.
        sleep: Waits so many seconds.
        notify: Gets a sentence before a long wait.
    """

    def __init__(
        self,
        http: HttpClient,
        config: SourceConfig,
        *,
        sleep: Callable[[float], None],
        notify: Callable[[str], None],
    ) -> None:
        self._http = http
        self._config = config
        self._headers = {
            "X-App-Id": config.secret("app_id"),
            "X-App-Token": config.secret("app_token"),
            "Accept": "application/json",
        }
        self._sleep = sleep
        self._notify = notify
        #: What the last answer asks for before the next question.
        self._wait: timedelta | None = None

    def page(self, number: int, size: int) -> Json:
        """Ask for one page of the publications, the newest first.

        Args:
            number: From 1.
            size: At most 100.

        Raises:
            VendorError: No usable answer, however often it was asked.
        """
        return self._ask(
            f"/v1/publications?limit={size}&page={number}&order=-created_at"
        )

    def voucher(self, voucher_id: str) -> Mapping[str, Json] | None:
        """Ask for a whole voucher; None where these keys may not see it.

        Raises:
            VendorRejected: With status 404: it exists no more.
            VendorError: No usable answer, however often it was asked.
        """
        try:
            found = self._ask(f"/v1/vouchers/{quote(voucher_id, safe='')}")
        except VendorRejected as error:
            is_gone = error.status == _NOT_FOUND and error.resource == "voucher"
            if error.status not in (_FORBIDDEN, _NOT_FOUND) or is_gone:
                raise
            return None
        return found if isinstance(found, dict) else None

    def _ask(self, path: str) -> Json:
        reason, usual = "", _FIRST_WAIT
        for _ in range(TRIES):
            self._pause()
            try:
                reply = self._http.call(
                    "GET",
                    f"{self._config.base_url}{path}",
                    headers=self._headers,
                    timeout=TIMEOUT,
                    max_reply_bytes=MAX_REPLY_BYTES,
                )
                return self._document(reply)
            except (TransportError, _TryAgainError) as error:
                reason = error.reason
                self._wait = getattr(error, "wait", None) or usual
            usual *= 2
        raise VendorError(f"asked {TRIES} times, and the last time {reason}")

    def _pause(self) -> None:
        """Wait as long as the last answer asked for.

        Raises:
            VendorError: That is too long.
        """
        wait, self._wait = self._wait, None
        if wait is None:
            return
        seconds = round(wait.total_seconds())
        if wait > LONGEST_WAIT:
            raise VendorError(
                f"no more calls for {seconds} seconds (rate limit); try again then"
            )
        if wait > _WORTH_SAYING:
            self._notify(f"Voucherify asks to wait {seconds} seconds")
        self._sleep(wait.total_seconds())

    def _document(self, reply: Reply) -> Json:
        if reply.status != _OK:
            raise self._error(reply)
        self._wait = wait_before_next(reply.headers)
        if reply.is_truncated:
            raise VendorError(f"an answer has more than {MAX_REPLY_BYTES} bytes")
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            raise _TryAgainError("the answer was not whole JSON") from None

    def _error(self, reply: Reply) -> Exception:
        """Say what an answer other than 200 means."""
        if reply.status == _BUSY:
            if reply.headers.get("x-rate-limit-type", "").strip() == _CYCLE:
                return VendorError("429: the calls of this billing cycle are used up")
            return _TryAgainError("429: too many calls", requested_wait(reply.headers))
        if reply.status >= _SERVER_ERRORS:
            return _TryAgainError(f"the answer was {reply.status}")
        if reply.status == _UNAUTHORIZED:
            names = self._config.variables
            return VendorError(
                f"401: {names.get('app_id', 'app_id')} and "
                f"{names.get('app_token', 'app_token')} are not accepted "
                "(another project's, or of another region than the base URL's)"
            )
        body = _body(reply)
        key = _word(body.get("key"))
        reason = f"{reply.status}{f' {key}' if key else ''}: Voucherify does not answer"
        return VendorRejected(
            reason, status=reply.status, resource=_word(body.get("resource_type"))
        )


def requested_wait(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long a 429 asks to wait; None where it does not say.

    Args:
        headers: Lower-case names; `date` is the clock that the others mean.
    """
    seconds = _number(headers, "retry-after")
    return _until_next(headers) if seconds is None else timedelta(seconds=seconds)


def wait_before_next(headers: Mapping[str, str]) -> timedelta | None:
    """Read how long to wait before the next call, so that it will not be rejected."""
    limit = _number(headers, "x-rate-limit-limit")
    left = _number(headers, "x-rate-limit-remaining")
    if left is None or left > (limit or 0) // _OTHERS_SHARE:
        return None
    return _until_next(headers)


def _until_next(headers: Mapping[str, str]) -> timedelta | None:
    """Read `X-Rate-Limit-Retry`, a time in seconds since 1970."""
    time = _number(headers, "x-rate-limit-retry")
    sent_at = date_of(headers.get("date", ""))
    if time is None or sent_at is None:
        return None
    wait = timedelta(seconds=time - sent_at.timestamp())
    return wait if wait > timedelta(0) else None


def _number(headers: Mapping[str, str], name: str) -> int | None:
    text = headers.get(name, "").strip()
    return int(text) if _NUMBER.fullmatch(text) else None


def _body(reply: Reply) -> Mapping[str, Json]:
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _word(value: Json) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None
