"""Captured webhooks on disk: our own format, and what other tools record.

A capture of ours is one JSON object: `headers` (allow-listed, lower case), `body` (the
text received; `body_base64` where it is not UTF-8), `source`, `endpoint` (null, or such
as `email/target`) and `received_at`. It is written on one line, so that captures put
together are JSON Lines.
"""

from bridge.captures.document import (
    KEPT_HEADERS,
    MAX_HEADER_LENGTH,
    dumps,
    kept_headers,
)
from bridge.captures.files import CapturedWebhook, iter_captures, write

__all__ = [
    "KEPT_HEADERS",
    "MAX_HEADER_LENGTH",
    "CapturedWebhook",
    "dumps",
    "iter_captures",
    "kept_headers",
    "write",
]
