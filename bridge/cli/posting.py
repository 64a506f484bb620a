"""Posts captured webhooks to a running bridge, signed as Voucherify would sign them."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from bridge import voucherify
from bridge.errors import SignatureError
from bridge.http import Http, Reply, prepare, with_body
from bridge.model import Capture
from bridge.steering.planning import Source

#: Requests under way at once.
CONCURRENCY = 4
#: The whole call; a bridge answers within five seconds.
TIMEOUT = timedelta(seconds=10)
#: How often a webhook that could not be stored is posted again.
TRIES = 10
#: Longest wait between two tries, in seconds.
LONGEST_WAIT = 60.0
_WEBHOOKS = "/webhooks/voucherify"
_UNAUTHORIZED, _UNAVAILABLE = 401, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the bridge said to one webhook."""

    source: Source
    #: HTTP status.
    status: int
    #: `stored`, `duplicate`, `parked` or `ignored`; None where it was not taken.
    became: str | None = None
    event_id: str | None = None


class Poster:
    """Posts webhooks; several at once, waiting where the bridge asks for it.

    Args:
        url: Where the bridge is; without a path, its usual doors are used.
        secret: Signs the bodies.
        sleep: Waits so many seconds.
    """

    def __init__(
        self, url: str, secret: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._url = url
        self._secret = secret
        self._sleep = sleep
        self._http = Http(TIMEOUT, pool=CONCURRENCY)

    def post(self, sources: Sequence[Source]) -> Iterator[Answer]:
        """Post all; the answers come in the order of the webhooks.

        After an error no further one is posted; what was posted may be again, because
        the bridge knows what it has.

        Raises:
            SignatureError: The bridge knows another secret.
            TransportError: The bridge cannot be reached.
        """
        with ThreadPoolExecutor(CONCURRENCY) as pool:
            try:
                yield from pool.map(self._post, sources)
            finally:
                pool.shutdown(cancel_futures=True)
                self._http.close()

    def _post(self, source: Source) -> Answer:
        body = source.capture.body
        headers = {
            "Content-Type": "application/json",
            "X-Voucherify-Signature": voucherify.sign(body, self._secret),
        }
        door = door_url(self._url, source.capture)
        request = with_body(prepare("POST", door, headers), body)
        for _ in range(TRIES - 1):
            reply = self._http.call(request)
            if reply.status != _UNAVAILABLE:
                return _answer(source, reply)
            self._sleep(_wait(reply))
        return _answer(source, self._http.call(request))


def door_url(url: str, capture: Capture) -> str:
    """Find the door a webhook goes to; a URL with a path of its own is one already."""
    parts = urlsplit(url)
    if parts.path.strip("/"):
        return url
    path = _WEBHOOKS if capture.door is None else f"/api/{capture.door}"
    return urlunsplit(parts._replace(path=path))


def _wait(reply: Reply) -> float:
    """Read how many seconds the bridge asks to be left alone."""
    text = reply.headers.get("retry-after", "")
    return min(float(text), LONGEST_WAIT) if text.isdecimal() else 1.0


def _answer(source: Source, reply: Reply) -> Answer:
    if reply.status == _UNAUTHORIZED:
        raise SignatureError(
            "401: the bridge does not accept the signature; "
            "its VOUCHERIFY_WEBHOOK_SECRET is another one"
        )
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "event_id" not in document:
        return Answer(source=source, status=reply.status)
    return Answer(
        source=source,
        status=reply.status,
        became=str(document.get("status")),
        event_id=str(document["event_id"]),
    )
