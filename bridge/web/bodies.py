"""Request bodies: read whole, within a limit of size, memory and time; unpacked."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug.exceptions import BadRequest, RequestEntityTooLarge, RequestTimeout

from bridge.errors import StoreUnavailable

#: Bytes of bodies that one process holds at the same time.
MAX_HELD = 64 * 1024 * 1024
#: Set in WSGI's environment where a body would be too long unpacked, and was not.
STILL_PACKED = "bridge.still_packed"
_GZIP = zlib.MAX_WBITS + 16


class BodyReader:
    """Reads bodies of requests; one for all endpoints of a process.

    Args:
        max_bytes: Longest body, as received and unpacked.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held = 0

    @contextmanager
    def read(
        self, environ: dict[str, Any], max_bytes: int | None = None
    ) -> Iterator[bytes]:
        """Read a request's body, and hold it for the length of the block.

        Args:
            environ: WSGI's; the server ends the stream where the body ends.
            max_bytes: Where an endpoint has a smaller limit.

        Raises:
            RequestEntityTooLarge: It is longer than the limit.
            RequestTimeout: The client was too slow.
            BadRequest: It is not complete, or cannot be read.
            StoreUnavailable: Too many bytes are held already.
        """
        limit = min(max_bytes or self._max_bytes, self._max_bytes)
        length = _length(environ)
        if length is not None and length > limit:
            raise _too_large(limit)
        reserved = limit if length is None else length
        if self._held + reserved > MAX_HELD:
            raise StoreUnavailable("too many large requests at the same time")
        self._held += reserved
        try:
            yield _unpacked(environ, _received(environ, length, limit), limit)
        finally:
            self._held -= reserved


def _length(environ: dict[str, Any]) -> int | None:
    """Return the announced length; None for a body in chunks."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    text = environ.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isdecimal() else 0


def _received(environ: dict[str, Any], length: int | None, limit: int) -> bytes:
    try:
        body: bytes = environ["wsgi.input"].read(
            limit + 1 if length is None else length
        )
    except TimeoutError:
        raise RequestTimeout("the request was not complete within 5 s") from None
    except Exception:  # noqa: BLE001 - the server's own errors, of malformed chunks say
        raise BadRequest("the body cannot be read") from None
    if len(body) > limit:
        raise _too_large(limit)
    if length is not None and len(body) < length:
        raise BadRequest("the body is shorter than its Content-Length")
    return body


def _unpacked(environ: dict[str, Any], body: bytes, limit: int) -> bytes:
    """Unpack gzip; what is no gzip stays as it is, for the signature to judge."""
    if environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() not in (
        "gzip",
        "x-gzip",
    ):
        return body
    stream = zlib.decompressobj(_GZIP)
    try:
        plain = stream.decompress(body, limit + 1)
    except zlib.error:
        return body
    if len(plain) > limit:
        environ[STILL_PACKED] = True
        return body
    return plain if stream.eof and not stream.unused_data else body


def _too_large(limit: int) -> RequestEntityTooLarge:
    return RequestEntityTooLarge(f"the body is longer than {limit} bytes")
