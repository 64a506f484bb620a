"""The body of one request off the front of a buffer, by its length or in chunks."""

import re
from collections.abc import Callable

from bridge.server.refusal import Refusal

#: Most chunks of one body: each costs time in the loop that serves everybody, and a
#: body of the largest size in pieces of 64 bytes still passes.
MAX_CHUNKS = 65_536
#: Most bytes of a line between chunks: a size with extensions, or a trailer.
MAX_CHUNK_LINE = 1024
MAX_TRAILERS = 64

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[\t -~\x80-\xff]*)?")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*")


def _too_large(max_bytes: int) -> Refusal:
    return Refusal(413, f"the body is longer than {max_bytes} bytes")


class SizedBody:
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


class ChunkedBody:
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
        """What has come of the body."""
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
