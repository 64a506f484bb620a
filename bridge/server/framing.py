"""The bytes of one connection to whole requests; no socket, no clock, no thread.

gunicorn's own parser reads the head, so that there is one opinion on where a body ends;
what is added here is that the body is complete before anybody else sees the request.
"""

from io import BytesIO

from gunicorn.config import Config
from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
)
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

from bridge.server.bodies import ChunkedBody, SizedBody
from bridge.server.refusal import Refusal

#: Most bytes of request line and headers together.
MAX_HEAD = 65_536

_END_OF_HEAD = b"\r\n\r\n"
_PLAIN = (400, "the head cannot be read")
#: What is not a plain 400 among the parser's complaints. An unknown transfer coding
#: stays one: a 501 would look like our fault in the figures.
_COMPLAINTS = {
    LimitRequestLine: (414, "the first line is too long"),
    LimitRequestHeaders: (431, "the headers are too many, or too long"),
    ExpectationFailed: (417, "Expect may only ask for 100-continue"),
}


class Inbox:
    """What one connection has sent, until whole requests come out.

    Args:
        settings: gunicorn's, for the parser.
        client: The peer's address.
        max_body_bytes: Longest body.
    """

    def __init__(self, settings: Config, client: object, max_body_bytes: int) -> None:
        self._settings = settings
        self._client = client
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._count = 0
        self._request: Request | None = None
        self._body: SizedBody | ChunkedBody | None = None

    def __len__(self) -> int:
        """Count the bytes held."""
        return len(self._buffer) + (len(self._body) if self._body else 0)

    @property
    def is_empty(self) -> bool:
        """Whether no byte of a next request is here."""
        return not self._buffer and self._request is None

    @property
    def path(self) -> str | None:
        """Where the request that is coming in goes to; None until its head is here."""
        return None if self._request is None else str(self._request.path)

    @property
    def owes_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        request = self._request
        return request is not None and request._expected_100_continue  # noqa: SLF001

    def continued(self) -> None:
        """Note that `100 Continue` was sent, or needs no sending."""
        if self._request is not None:
            self._request._expected_100_continue = False  # noqa: SLF001

    def feed(self, data: bytes) -> None:
        """Take what the socket gave."""
        self._buffer += data

    def next(self) -> Request | None:
        """Take out the next whole request, its body a file in memory.

        Returns:
            None while bytes of it are missing.

        Raises:
            Refusal: No request can come of these bytes. Call it no more.
        """
        if self._request is None and not self._take_head():
            return None
        request, body = self._request, self._body
        if request is None or body is None or not body.fill(self._buffer):
            return None
        self.continued()
        self._request = self._body = None
        request.body = BytesIO(body.content)
        return request

    def _take_head(self) -> bool:
        end = self._buffer.find(_END_OF_HEAD, self._searched)
        if (len(self._buffer) if end < 0 else end) > MAX_HEAD:
            raise Refusal(431, f"the headers are longer than {MAX_HEAD} bytes")
        if end < 0:
            # Its first bytes may be here already.
            self._searched = max(0, len(self._buffer) - len(_END_OF_HEAD) + 1)
            return False
        head = bytes(self._buffer[: end + len(_END_OF_HEAD)])
        del self._buffer[: len(head)]
        self._searched = 0
        self._request = self._parse(head)
        self._body = self._framing(self._request)
        return True

    def _parse(self, head: bytes) -> Request:
        self._count += 1
        source = IterUnreader([head])
        try:
            return Request(self._settings, source, self._client, self._count)
        except ParseException as error:
            # Its message quotes the client, perhaps a secret in a broken header.
            status, fault = _COMPLAINTS.get(type(error), _PLAIN)
            raise Refusal(status, f"not HTTP: {fault}") from None
        except (StopIteration, OSError):
            raise Refusal(400, "not HTTP: the head ends too early") from None

    def _framing(self, request: Request) -> SizedBody | ChunkedBody:
        reader = request.body.reader
        if isinstance(reader, ChunkedReader):
            return ChunkedBody(self._max_body_bytes)
        return SizedBody(reader.length, self._max_body_bytes)
