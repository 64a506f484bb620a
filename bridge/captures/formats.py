"""Requests recorded by other tools: HAR, webhook.site, Postman, ngrok, API gateways.

Pure: a JSON document in, recorded requests out. A file that is recognised and holds no
readable webhook is refused with what it is and what to do.
"""

import json
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from bridge.errors import CaptureError
from bridge.model import Json

_POST = ("POST", "PUT", "PATCH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recorded HTTP request."""

    #: Path or URL, "" where unknown.
    path: str
    #: Every header that was recorded, secrets included.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def read(document: Mapping[str, Json], where: str) -> list[Recorded] | None:
    """Read another tool's file.

    Returns:
        Its POST requests with a body; None where no tool's format is recognised.

    Raises:
        CaptureError: The format is known, and no request in it can be used.
    """
    for title, requests, body in _FORMATS:
        listed = requests(document)
        if listed is None:
            continue
        found = [_recorded(one, body, where) for one in map(_object, listed) if one]
        usable = [recorded for recorded in found if recorded is not None]
        if not usable:
            raise CaptureError(
                f"{where}: is {title} without a POST request that has a body; save "
                "the webhook's body as a file of its own"
            )
        return usable
    return None


def headers_of(value: Json, where: str) -> dict[str, str]:
    """Read headers: an object of texts or lists, or a list of name and value.

    Raises:
        CaptureError: They have another form.
    """
    pairs = value.items() if isinstance(value, dict) else _pairs(value)
    found: dict[str, str] = {}
    for name, one in pairs:
        text = one[0] if isinstance(one, list) and one else one
        if not isinstance(name, str) or not isinstance(text, str):
            raise CaptureError(f"{where}: headers must be texts")
        found.setdefault(name.lower(), text)
    return found


def body_of(value: Json, *, is_base64: bool = False) -> bytes:
    """Read a body: a text, or the JSON document it was.

    Raises:
        TypeError: It is neither.
        ValueError: It is not base64, or not UTF-8.
    """
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    if not isinstance(value, str):
        raise TypeError("no text")
    return b64decode(value, validate=True) if is_base64 else value.encode()


def _pairs(value: Json) -> Iterator[tuple[Json, Json]]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, dict):
            yield one.get("name", one.get("key")), one.get("value")
        elif isinstance(one, list) and len(one) == 2:  # noqa: PLR2004 - name and value
            yield one[0], one[1]
        else:
            yield None, None


def _object(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def _recorded(
    one: Mapping[str, Json], body: Callable[[Mapping[str, Json]], Json], where: str
) -> Recorded | None:
    """Read one request; None for one that is no webhook. Tools differ in the names."""
    context = _object(_object(one.get("requestContext")).get("http"))
    method = one.get("httpMethod") or one.get("method") or context.get("method")
    found = body(one)
    if str(method or "POST").upper() not in _POST or not found:
        return None
    path = one.get("path") or one.get("rawPath") or one.get("url")
    data = _object(one.get("postData"))
    is_base64 = one.get("isBase64Encoded") is True or data.get("encoding") == "base64"
    try:
        content = body_of(found, is_base64=is_base64 or "raw" in one)
    except (TypeError, ValueError):
        raise CaptureError(f"{where}: a recorded body cannot be read") from None
    if "raw" in one:
        # ngrok keeps the whole request as it was sent.
        head, _, content = content.partition(b"\r\n\r\n")
        if not content:
            return None
        path = head.split(b" ", 2)[1].decode("latin-1") if b" " in head else ""
    path = _object(path).get("raw", path)
    headers = headers_of(one.get("headers") or one.get("header") or {}, where)
    return Recorded(
        path=path if isinstance(path, str) else "", headers=headers, body=content
    )


def _har(document: Mapping[str, Json]) -> Iterable[Json] | None:
    entries = _object(document.get("log")).get("entries")
    if not isinstance(entries, list):
        return None
    return [_object(entry).get("request") for entry in entries]


def _postman(document: Mapping[str, Json]) -> Iterable[Json] | None:
    items = document.get("item")
    return list(_items(items)) if isinstance(items, list) else None


def _items(items: Json) -> Iterator[Json]:
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict):
            yield from _items(item.get("item"))
            yield item.get("request")


def _ngrok(document: Mapping[str, Json]) -> Iterable[Json] | None:
    requests = [_object(_object(one).get("request")) for one in _listed(document)]
    return requests if any("raw" in one for one in requests) else None


def _webhook_site(document: Mapping[str, Json]) -> Iterable[Json] | None:
    listed = document.get("data")
    listed = listed if isinstance(listed, list) else _listed(document)
    is_it = any({"content", "headers", "method"} <= _object(x).keys() for x in listed)
    return listed if is_it else None


def _gateway(document: Mapping[str, Json]) -> Iterable[Json] | None:
    listed = _listed(document)
    is_gateway = any(
        "body" in _object(one)
        and not _object(one).keys().isdisjoint({"requestContext", "headers", "path"})
        for one in listed
    )
    return listed if is_gateway else None


def _listed(document: Mapping[str, Json]) -> list[Json]:
    listed = document.get("requests")
    return listed if isinstance(listed, list) else [document]


#: What a file is called, what lists its requests (None for another tool's file), and
#: what finds the body of one.
_FORMATS: tuple[
    tuple[
        str,
        Callable[[Mapping[str, Json]], Iterable[Json] | None],
        Callable[[Mapping[str, Json]], Json],
    ],
    ...,
] = (
    ("a HAR file", _har, lambda one: _object(one.get("postData")).get("text")),
    ("a Postman collection", _postman, lambda one: _object(one.get("body")).get("raw")),
    ("an ngrok recording", _ngrok, lambda one: one.get("raw")),
    ("a webhook.site export", _webhook_site, lambda one: one.get("content")),
    ("a recorded request", _gateway, lambda one: one.get("body")),
)
