"""One question to Voucherify's API at a time, asked again where that may help.

Every question only reads, so asking twice does no harm.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from urllib.parse import quote

from bridge.config import Voucherify
from bridge.errors import TransportError, VoucherifyError, VoucherifyRefusal
from bridge.http import Http, Reply, prepare
from bridge.model import Json
from bridge.publications.limits import asked_wait, is_used_up, wait_before_next

#: How often one question is asked in all.
TRIES = 6
#: Longest wait that is taken: a sandbox project counts its calls by the hour.
LONGEST_WAIT = timedelta(minutes=61)
#: Waits longer than this are told to whoever waits.
_WORTH_SAYING = timedelta(seconds=2)
_FIRST_WAIT = timedelta(seconds=1)
#: A page of a hundred publications may be long: each carries its customer's metadata.
MAX_REPLY_BYTES = 32 * 1024 * 1024
_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _BUSY = 200, 401, 403, 404, 429
_SERVER_ERRORS = 500
# What does not look like this is not repeated: it may be anything.
_KEY = re.compile(r"[a-z][a-z0-9_]{0,63}")


class _TryAgainError(Exception):
    """This try failed in a way the next one may not.

    Attributes:
        wait: What the other side asks for, None for nothing.
    """

    def __init__(self, reason: str, wait: timedelta | None = None) -> None:
        self.reason = reason
        self.wait = wait
        super().__init__(reason)


class Api:
    """Voucherify's API as far as a reconciliation needs it.

    Args:
        http: Makes the calls.
        settings: Where it is, and the keys.
        sleep: Waits so many seconds.
        told: Gets a sentence before a long wait.

    Raises:
        VoucherifyError: URL or keys cannot be sent.
    """

    def __init__(
        self,
        http: Http,
        settings: Voucherify,
        *,
        sleep: Callable[[float], None],
        told: Callable[[str], None],
    ) -> None:
        self._http = http
        self._base_url = settings.base_url
        self._headers = {
            "X-App-Id": settings.app_id,
            "X-App-Token": settings.app_token,
            "Accept": "application/json",
            "User-Agent": "reward-bridge",
        }
        self._sleep = sleep
        self._told = told
        #: What the last answer asks for before the next question.
        self._wait: timedelta | None = None

    def page(self, number: int, size: int) -> Json:
        """Ask for one page of the publications, the newest first.

        Args:
            number: From 1.
            size: At most 100.

        Raises:
            VoucherifyError: No usable answer, however often it was asked.
        """
        return self._ask(
            f"/v1/publications?limit={size}&page={number}&order=-created_at"
        )

    def voucher(self, voucher_id: str) -> Mapping[str, Json] | None:
        """Ask for a whole voucher; None where these keys may not see it.

        Raises:
            VoucherifyRefusal: With status 404: it exists no more.
            VoucherifyError: No usable answer, however often it was asked.
        """
        try:
            found = self._ask(f"/v1/vouchers/{quote(voucher_id, safe='')}")
        except VoucherifyRefusal as error:
            is_gone = error.status == _NOT_FOUND and error.resource == "voucher"
            if error.status not in (_FORBIDDEN, _NOT_FOUND) or is_gone:
                raise
            return None
        return found if isinstance(found, dict) else None

    def _ask(self, path: str) -> Json:
        try:
            request = prepare("GET", self._base_url + path, self._headers)
        except ValueError as error:
            raise VoucherifyError(str(error)) from None
        reason, usual = "", _FIRST_WAIT
        for _ in range(TRIES):
            self._pause()
            try:
                return self._document(self._http.call(request))
            except TransportError as error:
                reason, self._wait = error.reason, usual
            except _TryAgainError as error:
                reason = error.reason
                self._wait = usual if error.wait is None else error.wait
            usual *= 2
        raise VoucherifyError(f"asked {TRIES} times, and the last time {reason}")

    def _pause(self) -> None:
        """Wait as long as the last answer asked for.

        Raises:
            VoucherifyError: That is too long.
        """
        wait, self._wait = self._wait, None
        if wait is None:
            return
        seconds = round(wait.total_seconds())
        if wait > LONGEST_WAIT:
            raise VoucherifyError(
                f"no more calls for {seconds} seconds (rate limit); come again then"
            )
        if wait > _WORTH_SAYING:
            self._told(f"Voucherify asks to wait {seconds} seconds")
        self._sleep(wait.total_seconds())

    def _document(self, reply: Reply) -> Json:
        if reply.status != _OK:
            raise _error(reply)
        self._wait = wait_before_next(reply.headers)
        if reply.is_truncated:
            raise VoucherifyError(f"an answer has more than {MAX_REPLY_BYTES} bytes")
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            raise _TryAgainError("the answer was not whole JSON") from None


def _error(reply: Reply) -> Exception:
    """Say what an answer other than 200 means."""
    if reply.status == _BUSY and is_used_up(reply.headers):
        return VoucherifyError("429: the calls of this billing cycle are used up")
    if reply.status == _BUSY:
        return _TryAgainError("429: too many calls", asked_wait(reply.headers))
    if reply.status >= _SERVER_ERRORS:
        return _TryAgainError(f"the answer was {reply.status}")
    if reply.status == _UNAUTHORIZED:
        return VoucherifyError(
            "401: VOUCHERIFY_APP_ID and VOUCHERIFY_APP_TOKEN are not accepted "
            "(another project's, or of a region that VOUCHERIFY_BASE_URL does not name)"
        )
    body = _body(reply)
    key = _word(body.get("key"))
    reason = f"{reply.status}{f' {key}' if key else ''}: Voucherify does not answer"
    return VoucherifyRefusal(
        reason, status=reply.status, resource=_word(body.get("resource_type"))
    )


def _body(reply: Reply) -> Mapping[str, Json]:
    try:
        body = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _word(value: Json) -> str | None:
    return value if isinstance(value, str) and _KEY.fullmatch(value) else None
