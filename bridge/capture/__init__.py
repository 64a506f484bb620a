"""Captured webhooks on disk.

A capture is one JSON object: `headers` (allow-listed, lower-case), `body` (the text
received; `body_base64` where it is not UTF-8), `door` (`email/target`, or null) and
`received_at`. It is written on one line, so that captures put together are JSON Lines.
"""

from bridge.capture.document import KEPT_HEADERS, LONGEST_HEADER, dumps
from bridge.capture.finding import Found, find, read
from bridge.capture.writing import write

__all__ = [
    "KEPT_HEADERS",
    "LONGEST_HEADER",
    "Found",
    "dumps",
    "find",
    "read",
    "write",
]
