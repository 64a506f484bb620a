"""The bytes of one connection to whole requests; no socket, no clock, no thread.

gunicorn's own parser reads the head, so that there is one opinion on where a body ends;
what is added here is that the body is complete before anybody else sees the request.
"""

import re
from collections.abc import Callable
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

#: Most bytes of request line and headers together.
MAX_HEAD = 65_536
#: Most chunks of one body: each costs time in the loop that serves everybody, and a
#: body of the largest size in pieces of 64 bytes still passes.
MAX_CHUNKS = 65_536
#: Most bytes of a line between chunks: a size with extensions, or a trailer.
MAX_CHUNK_LINE = 1024
MAX_TRAILERS = 64

_END_OF_HEAD = b"\r\n\r\n"
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")
_PLAIN = (400, "the head cannot be read")
#: What is not a plain 400 among the parser's complaints. An unknown transfer coding
#: stays one: a 501 would look like our fault in the figures.
_COMPLAINTS = {
    LimitRequestLine: (414, "the first line is too long"),
    LimitRequestHeaders: (431, "the headers are too many, or too long"),
    ExpectationFailed: (417, "Expect may only ask for 100-continue"),
}


class Refusal(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """The connection gets this answer and ends.

    Attributes:
        status: HTTP status.
        detail: One sentence, without anything the client sent.
    """

    def __init__(self, status: int, detail: str) -> None:
        self.status = status
        self.detail = detail
        super().__init__(detail)


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
        self._body: _SizedBody | _ChunkedBody | None = None

    def __len__(self) -> int:
        """Count the bytes held."""
        return len(self._buffer) + (len(self._body) if self._body else 0)

    @property
    def is_empty(self) -> bool:
        """Whether no byte of a next request is here."""
        return not self._buffer and self._request is None

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

    def _framing(self, request: Request) -> "_SizedBody | _ChunkedBody":
        reader = request.body.reader
        if isinstance(reader, ChunkedReader):
            return _ChunkedBody(self._max_body_bytes)
        return _SizedBody(reader.length, self._max_body_bytes)


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(413, f"the body is longer than {max_bytes} bytes")


class _SizedBody:
    """A body whose length the head tells."""

    def __init__(self, length: int, max_bytes: int) -> None:
        if length > max_bytes:
            raise _too_large(max_bytes)
        self._length = length
        self.content = b""

    def __len__(self) -> int:
        return 0  # all of it is still in the buffer

    def fill(self, buffer: bytearray) -> bool:
        """Take the body off the front of the buffer once it is whole."""
        if len(buffer) < self._length:
            return False
        self.content = bytes(buffer[: self._length])
        del buffer[: self._length]
        return True


class _ChunkedBody:
    """A body in chunks, decoded as they come.

    References:
        https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._data = bytearray()
        self._chunks = self._trailers = 0
        #: Bytes the current chunk still lacks.
        self._missing = 0
        #: The next piece of grammar; None once the body is whole.
        self._step: Callable[[bytearray], bool] | None = self._size

    def __len__(self) -> int:
        return len(self._data)

    @property
    def content(self) -> bytes:
        return bytes(self._data)

    def fill(self, buffer: bytearray) -> bool:
        """Take all that can be read; say whether the body is whole."""
        while self._step is not None and self._step(buffer):
            pass
        return self._step is None

    def _size(self, buffer: bytearray) -> bool:
        line = _take_line(buffer)
        if line is None:
            return False
        match = _CHUNK_SIZE.fullmatch(line)
        self._chunks += 1
        if match is None or self._chunks > MAX_CHUNKS:
            raise Refusal(400, "a chunk's size cannot be read, or chunks are too many")
        self._missing = int(match[1], 16)
        if len(self._data) + self._missing > self._max_bytes:
            raise _too_large(self._max_bytes)
        self._step = self._content if self._missing else self._trailer
        return True

    def _content(self, buffer: bytearray) -> bool:
        piece = buffer[: self._missing]
        del buffer[: len(piece)]
        self._data += piece
        self._missing -= len(piece)
        if self._missing:
            return False
        self._step = self._end_of_chunk
        return True

    def _end_of_chunk(self, buffer: bytearray) -> bool:
        if len(buffer) < len(b"\r\n"):
            return False
        if not buffer.startswith(b"\r\n"):
            raise Refusal(400, "a chunk is longer than it said")
        del buffer[:2]
        self._step = self._size
        return True

    def _trailer(self, buffer: bytearray) -> bool:
        line = _take_line(buffer)
        if line is None:
            return False
        self._trailers += 1
        if not line:
            self._step = None
        elif not _TRAILER.fullmatch(line) or self._trailers > MAX_TRAILERS:
            raise Refusal(400, "a trailer cannot be read, or trailers are too many")
        return True


def _take_line(buffer: bytearray) -> bytes | None:
    """Take a line off the front, without its end; None while it is not whole."""
    end = buffer.find(b"\r\n", 0, MAX_CHUNK_LINE + 2)
    if end < 0:
        if len(buffer) > MAX_CHUNK_LINE:
            raise Refusal(400, "a line between the chunks is too long")
        return None
    line = bytes(buffer[:end])
    del buffer[: end + 2]
    return line
