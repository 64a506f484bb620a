"""One answer read off a stream: status, headers and a body of bounded size.

Every call pays for this, and the standard library's way, which takes the headers for
an e-mail, costs more than all the rest of a call. Odd headers are forgiven; what frames
the body is not, because a connection whose next answer starts at the wrong byte would
mix answers up. No sockets, no clock.
"""

import re
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead, LineTooLong, RemoteDisconnected
from io import BufferedIOBase

#: The most that is read of one line, and of lines in one header; as in `http.client`.
MAX_LINE, MAX_LINES = 65536, 100

_STATUS = re.compile(rb"HTTP/1\.([0-9])[ \t]+([1-9][0-9]{2})\s")
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*[;\r\n]")
#: What decides where an answer ends; each line of these counts, of others the last.
_FRAMING = {"connection", "content-length", "transfer-encoding"}
_FIRST_FINAL, _NO_CONTENT, _NOT_MODIFIED = 200, 204, 304


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back, with as much of the body as there was room for."""

    status: int
    #: Lower-case names.
    headers: dict[str, str]
    body: bytes
    #: True where the connection is ready for another request.
    is_reusable: bool

    def read(self, amount: int, **_: bool) -> bytes:
        """Return the body's start, as a response of urllib3 does when asked first."""
        return self.body[:amount]


def read(stream: BufferedIOBase, method: str, room: int) -> Answer:
    """Read the answer to a request.

    Args:
        stream: Stands at the first byte of the answer.
        method: The request's.
        room: The most that is read of the body, in bytes.

    Raises:
        http.client.HTTPException: This is not HTTP, or it breaks off.
        OSError: The stream's own.

    References:
        RFC 9112, 6.3 (where a body ends) and 9.3 (when a connection persists).
    """
    version, status = _status(stream)
    headers = _headers(stream)
    # What comes before the answer proper (100, 103) was not asked for.
    while status < _FIRST_FINAL:
        version, status = _status(stream)
        headers = _headers(stream)
    if method == "HEAD" or status in (_NO_CONTENT, _NOT_MODIFIED):
        body, is_whole = b"", True
    else:
        body, is_whole = _body(stream, headers, room)
    options = headers.get("connection", "").lower()
    persists = "close" not in options if version else "keep-alive" in options
    return Answer(
        status=status, headers=headers, body=body, is_reusable=is_whole and persists
    )


def _status(stream: BufferedIOBase) -> tuple[int, int]:
    """Read the status line; the first number is 0 for HTTP/1.0, 1 for HTTP/1.1."""
    match = _STATUS.match(_line(stream))
    if match is None:
        raise HTTPException("status line")
    return int(match[1]), int(match[2])


def _line(stream: BufferedIOBase) -> bytes:
    line = stream.readline(MAX_LINE)
    if line.endswith(b"\n"):
        return line
    if not line:
        raise RemoteDisconnected("no answer")
    raise LineTooLong("line") if len(line) == MAX_LINE else IncompleteRead(line)


def _headers(stream: BufferedIOBase) -> dict[str, str]:
    """Read up to the blank line."""
    headers: dict[str, str] = {}
    name = ""
    for _ in range(MAX_LINES):
        line = str(_line(stream), "latin-1")
        if line in ("\r\n", "\n"):
            return headers
        if line[0] in " \t":
            # The rest of a folded value; outlawed, and still sent.
            if name:
                headers[name] += f" {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        name, value = name.strip().lower() if colon else "", value.strip()
        if name in _FRAMING and name in headers:
            value = f"{headers[name]}, {value}"
        if name:
            headers[name] = value
    raise HTTPException("too many headers")


def _body(
    stream: BufferedIOBase, headers: dict[str, str], room: int
) -> tuple[bytes, bool]:
    """Read the body.

    Returns:
        It, and whether the stream now stands at its end and at no other's.
    """
    coding = headers.get("transfer-encoding")
    if coding is not None and coding.lower() == "chunked":
        return _chunks(stream, room)
    # A proxy may repeat the same length. Two that differ say nothing.
    sizes = {size.strip() for size in headers.get("content-length", "").split(",")}
    size = sizes.pop()
    if coding is None and not sizes and _LENGTH.fullmatch(size):
        length = int(size)
        return _exactly(stream, min(length, room)), length <= room
    # It ends with the connection.
    return stream.read(room), False


def _chunks(stream: BufferedIOBase, room: int) -> tuple[bytes, bool]:
    chunks: list[bytes] = []
    while room:
        match = _CHUNK.match(_line(stream))
        if match is None:
            raise HTTPException("chunk size")
        size = int(match[1], 16)
        if not size:
            _headers(stream)
            return b"".join(chunks), True
        chunks.append(_exactly(stream, min(size, room)))
        room -= len(chunks[-1])
        if room and _line(stream).strip():
            raise HTTPException("chunk end")
    return b"".join(chunks), False


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise IncompleteRead(data)
    return data
