"""One JSON document to the webhooks in it, and a webhook to the capture we write."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime

from bridge.captures import formats
from bridge.captures.formats import Recorded
from bridge.errors import CaptureError
from bridge.model import Capture, Json

#: Headers worth keeping; none of them ever carries a secret.
KEPT_HEADERS = frozenset(
    {
        "content-encoding",
        "content-type",
        "user-agent",
        "x-request-id",
        "x-signature",
        "x-voucherify-signature",
    }
)
#: As much of a header as is kept, in characters.
MAX_HEADER_LENGTH = 1000
_MAX_DIGITS = 1000
#: Distinguishes `null` from what is not JSON at all.
_NO_JSON = object()
_TARGETS = ("email", "sms", "push", "inApp", "webPush", "whatsApp")
#: Paths of the compatible endpoints, which say what to post to.
_ENDPOINTS = {f"/api/{medium}/target": f"{medium}/target" for medium in _TARGETS}


class NotAWebhook(CaptureError):  # noqa: N818 - no mistake: other files lie beside captures
    """The file is something else that belongs beside captures."""


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Choose the headers that may be stored, with their names in lower case."""
    return {
        name.lower(): value[:MAX_HEADER_LENGTH]
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
        "source": capture.source,
        "endpoint": capture.endpoint,
        "headers": kept_headers(capture.headers),
        **body,
    }
    return json.dumps(document, ensure_ascii=False)


def is_document(text: bytes) -> bool:
    """Tell whether a text is one whole JSON document."""
    return _loads(text) is not _NO_JSON


def parse(text: bytes, where: str) -> Iterator[Capture]:
    """Read the webhooks of one document: a capture, another tool's file, or a body.

    Args:
        text: Of a file or a line, UTF-8.
        where: Named by errors.

    Raises:
        CaptureError: It is none of them; `NotAWebhook` if it belongs beside captures.
    """
    document = _loads(text)
    if document is _NO_JSON:
        raise CaptureError(
            f"{where}: is not JSON (a body that is not JSON can be kept in a capture)"
        )
    if not isinstance(document, dict):
        yield from _of_list(document, text, where)
    elif {"request", "expected"} <= document.keys():
        raise NotAWebhook(f"{where}: a sample of a vendor's answers, no webhook")
    elif _is_own(document):
        yield _own(document, where)
    else:
        recorded = formats.read(document, where)
        if recorded is None:
            yield Capture(body=text)
        else:
            yield from map(_capture, recorded)


def _of_list(document: Json, text: bytes, where: str) -> Iterator[Capture]:
    """Read a list of recorded requests; any other list is a body."""
    recorded = formats.read({"requests": document}, where)
    if recorded is None:
        yield Capture(body=text)
    else:
        yield from map(_capture, recorded)


def _is_own(document: Mapping[str, Json]) -> bool:
    return "headers" in document and not document.keys().isdisjoint(
        {"body", "body_base64"}
    )


def _loads(text: bytes) -> Json:
    """Read JSON as far as is needed to tell a capture from a body."""
    try:
        return json.loads(text.decode("utf-8"), parse_int=_integer)
    except RecursionError:
        return None
    except ValueError:
        return _NO_JSON


def _integer(text: str) -> int | None:
    # Python refuses to read thousands of digits; the reader of bodies judges them.
    return int(text) if len(text) <= _MAX_DIGITS else None


def _own(document: Mapping[str, Json], where: str) -> Capture:
    if "door" in document:
        raise CaptureError(f"{where}: `door` is now called `endpoint`")
    endpoint, source = document.get("endpoint"), document.get("source", "voucherify")
    if endpoint is not None and endpoint not in _ENDPOINTS.values():
        known = ", ".join(_ENDPOINTS.values())
        raise CaptureError(f"{where}: endpoint must be null or one of {known}")
    if not isinstance(source, str):
        raise CaptureError(f"{where}: source must be the name of a configured source")
    recorded = Recorded(
        path=str(
            document.get("path") or document.get("url") or document.get("rawPath") or ""
        ),
        headers=formats.headers_of(document["headers"], where),
        body=_body(document, where),
    )
    capture = _capture(recorded)
    return Capture(
        body=capture.body,
        headers=capture.headers,
        source=source if capture.source == "voucherify" else capture.source,
        endpoint=endpoint or capture.endpoint,
    )


def _body(document: Mapping[str, Json], where: str) -> bytes:
    try:
        if "body" in document:
            return formats.body_of(
                document["body"], is_base64=bool(document.get("isBase64Encoded"))
            )
        return b64decode(document["body_base64"], validate=True)
    except TypeError:
        raise CaptureError(f"{where}: body must be a text or an object") from None
    except UnicodeEncodeError:
        raise CaptureError(f"{where}: body has a lone surrogate") from None
    except ValueError:
        raise CaptureError(f"{where}: the body is not base64") from None


def _capture(recorded: Recorded) -> Capture:
    path = recorded.path.partition("?")[0].rstrip("/")
    endpoint = next(
        (name for ending, name in _ENDPOINTS.items() if path.endswith(ending)), None
    )
    _, is_named, source = path.rpartition("/webhooks/")
    return Capture(
        body=recorded.body,
        headers=kept_headers(recorded.headers),
        source=source if is_named and source else "voucherify",
        endpoint=endpoint,
    )
