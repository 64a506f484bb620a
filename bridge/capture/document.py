"""What a capture is: one JSON object, told from a bare body and back."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime

from bridge.errors import CaptureError
from bridge.model import ENDPOINTS, Capture, Json

#: Headers worth keeping; none of them ever carries a secret.
KEPT_HEADERS = frozenset(
    {
        "content-encoding",
        "content-type",
        "user-agent",
        "x-request-id",
        "x-voucherify-signature",
    }
)
#: As much of a header as is kept, in characters.
LONGEST_HEADER = 1000
#: Distinguishes `null` from what is no JSON at all.
_NO_JSON = object()


class NoWebhookError(CaptureError):
    """The file is something else that belongs beside captures."""


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Choose the headers that may be stored, with their names in lower case."""
    return {
        name.lower(): value[:LONGEST_HEADER]
        for name, value in headers.items()
        if name.lower() in KEPT_HEADERS
    }


def dumps(capture: Capture, *, received_at: datetime) -> str:
    """Make the one line of JSON that a capture file is."""
    try:
        body = {"body": capture.body.decode("utf-8")}
    except UnicodeDecodeError:
        body = {"body_base64": b64encode(capture.body).decode("ascii")}
    document = {
        "received_at": received_at.isoformat(),
        "door": capture.door,
        "headers": kept_headers(capture.headers),
        **body,
    }
    return json.dumps(document, ensure_ascii=False)


def is_document(text: bytes) -> bool:
    """Tell whether a text is one whole JSON document."""
    return _loads(text) is not _NO_JSON


def parse(text: bytes, where: str) -> Capture:
    """Make a capture of what is one, or of a body.

    Args:
        text: Of a file or a line.
        where: Named by errors.

    Raises:
        CaptureError: It is neither; `NoWebhookError` if it belongs beside captures.
    """
    document = _loads(text)
    if document is _NO_JSON:
        raise CaptureError(
            f"{where}: is not JSON (a body that is not JSON can be kept in a capture)"
        )
    if isinstance(document, dict):
        if {"request", "expected"} <= document.keys():
            raise NoWebhookError(f"{where}: a sample of Iterable's answers, no webhook")
        if "headers" in document and {"body", "body_base64"} & document.keys():
            return _decoded(document, where)
    return Capture(body=text)


def _loads(text: bytes) -> Json:
    """Read JSON as far as is needed to tell a capture from a body."""
    try:
        # Numbers are not read: a huge one is for the reader of bodies to judge.
        return json.loads(text.decode("utf-8"), parse_int=_any, parse_float=_any)
    except RecursionError:
        return None
    except ValueError:
        return _NO_JSON


def _any(_number: str) -> None:
    """Stand for a number."""


def _decoded(document: Mapping[str, Json], where: str) -> Capture:
    headers, door = document["headers"], document.get("door")
    if not isinstance(headers, dict):
        raise CaptureError(f"{where}: headers must be an object")
    if not all(isinstance(value, str) for value in headers.values()):
        raise CaptureError(f"{where}: headers must be texts")
    if door is not None and door not in ENDPOINTS:
        raise CaptureError(
            f"{where}: door must be null or one of {', '.join(ENDPOINTS)}"
        )
    return Capture(
        body=_body(document, where), headers=kept_headers(headers), door=door
    )


def _body(document: Mapping[str, Json], where: str) -> bytes:
    try:
        if "body" in document:
            return str.encode(document["body"])
        return b64decode(document["body_base64"], validate=True)
    except TypeError:
        raise CaptureError(f"{where}: body must be a text") from None
    except UnicodeEncodeError:
        raise CaptureError(f"{where}: body has a lone surrogate") from None
    except ValueError:
        raise CaptureError(f"{where}: body_base64 is not base64") from None
