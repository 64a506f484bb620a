"""Captured webhooks on disk: what a capture file looks like, reading and writing it.

A capture is one JSON object: `headers` (allow-listed, lower-case), `body` (the text
received; `body_base64` where it is not UTF-8), `door` (`email/target`, or null) and
`received_at`. It is written on one line, so that captures put together are JSON Lines.
"""

import json
import os
import re
import stat
import sys
from base64 import b64decode, b64encode
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

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
_LONGEST_HEADER = 1000
_LINES = (".jsonl", ".ndjson")
_SUFFIXES = frozenset({".json", *_LINES})
#: Distinguishes `null` from what is no JSON at all.
_NO_JSON = object()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One webhook found, and where."""

    #: `captures/a.json`, or `all.jsonl line 3`.
    where: str
    capture: Capture


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Choose the headers that may be stored, with their names in lower case."""
    return {
        name.lower(): value[:_LONGEST_HEADER]
        for name, value in headers.items()
        if name.lower() in KEPT_HEADERS
    }


def read(
    source: Path | Literal["-"], skipped: Callable[[str], None] = lambda _: None
) -> Iterator[Capture]:
    """Read captured webhooks, as `find` does, without saying where they were."""
    return (found.capture for found in find(source, skipped))


def _raise(error: CaptureError) -> None:
    raise error


def find(
    source: Path | Literal["-"],
    skipped: Callable[[str], None] = lambda _: None,
    unreadable: Callable[[CaptureError], None] = _raise,
) -> Iterator[Found]:
    """Read webhooks from a body, a capture, JSON Lines of either, or a folder of them.

    A folder is read whole, folders in it included, in the order of the names.

    Args:
        source: What to read; `-` is standard input.
        skipped: Told, in a sentence, of each file of a folder that is no webhook.
        unreadable: Told of one file among several, or one line, that cannot be read;
            the others are, unless it raises.

    Raises:
        CaptureError: The source cannot be read; raised when the iterator gets there.
    """
    if source == "-":
        yield from _from_stream(sys.stdin.buffer, "standard input", unreadable)
    elif _kind(source) == stat.S_IFDIR:
        for path in _members(source, unreadable):
            yield from _from_member(path, skipped, unreadable)
    else:
        yield from _from_file(source, unreadable)


def write(
    folder: Path, capture: Capture, *, received_at: datetime, name: str | None = None
) -> Path:
    """Write a capture file that only its owner may read, whole or not at all.

    Args:
        folder: Made where missing.
        capture: What to write.
        received_at: When it came, UTC.
        name: File name without suffix, such as the event's id; an earlier file of
            that name is replaced. Made of time and body where absent.
    """
    if name is None:
        digest = sha256(capture.body).hexdigest()[:12]
        name = f"{received_at:%Y%m%dT%H%M%S.%fZ}-{digest}"
    if _NAME.fullmatch(name) is None:
        raise CaptureError(f"{name!r} cannot be the name of a file")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    draft = folder / f".{name}.{os.getpid()}.draft"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(draft, flags, 0o600), "wb") as file:
            file.write(dumps(capture, received_at=received_at).encode() + b"\n")
        return draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


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


class _NoWebhookError(CaptureError):
    """The file is something else that belongs beside captures."""


def _kind(path: Path) -> int:
    """Tell what a path leads to: one of `stat`'s kinds of files.

    Raises:
        CaptureError: It leads nowhere.
    """
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}") from error


def _members(folder: Path, unreadable: Callable[[CaptureError], None]) -> list[Path]:
    """List everything below a folder that is no folder itself."""

    def told(error: OSError) -> None:
        unreadable(CaptureError(f"{error.filename}: cannot be read: {error.strerror}"))

    return sorted(
        Path(where, name)
        for where, _, names in os.walk(folder, onerror=told)
        for name in names
    )


def _from_member(
    path: Path,
    skipped: Callable[[str], None],
    unreadable: Callable[[CaptureError], None],
) -> Iterator[Found]:
    """Read one file of a folder, unless it is something else."""
    if path.name.startswith(".") or path.suffix not in _SUFFIXES:
        skipped(f"{path}: skipped, not named like a webhook (.json, .jsonl, .ndjson)")
        return
    try:
        yield from _from_file(path, unreadable)
    except _NoWebhookError as other:
        skipped(f"{other.reason}, skipped")
    except CaptureError as error:
        unreadable(error)


def _from_file(
    path: Path, unreadable: Callable[[CaptureError], None]
) -> Iterator[Found]:
    if path.name == "manifest.jsonl":
        raise _NoWebhookError(f"{path}: lists the samples beside it, no webhook")
    if _kind(path) != stat.S_IFREG:
        # A pipe or a device may have no end, or nobody at its other one.
        raise CaptureError(f"{path}: is no ordinary file (- reads standard input)")
    try:
        with path.open("rb") as file:
            yield from _from_stream(file, str(path), unreadable)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}") from error


def _from_stream(
    stream: BinaryIO, name: str, unreadable: Callable[[CaptureError], None]
) -> Iterator[Found]:
    """Read one document, or one on each line."""
    first = stream.readline().removeprefix(BOM_UTF8)
    second = stream.readline()
    # A single document cannot go on behind its end: then each line is one.
    if second and (name.endswith(_LINES) or _loads(first) is not _NO_JSON):
        for number, line in enumerate(chain((first, second), stream), start=1):
            text = line.rstrip(b"\r\n")
            if text.strip():
                yield from _from_line(text, f"{name} line {number}", unreadable)
    else:
        body = first + second + stream.read()
        yield Found(where=name, capture=_capture(body, name))


def _from_line(
    text: bytes, where: str, unreadable: Callable[[CaptureError], None]
) -> Iterator[Found]:
    try:
        capture = _capture(text, where)
    except CaptureError as error:
        unreadable(error)
    else:
        yield Found(where=where, capture=capture)


def _capture(text: bytes, where: str) -> Capture:
    """Make a capture of what is one, or of a body."""
    document = _loads(text)
    if document is _NO_JSON:
        raise CaptureError(
            f"{where}: is not JSON (a body that is not JSON can be kept in a capture)"
        )
    if isinstance(document, dict):
        if {"request", "expected"} <= document.keys():
            raise _NoWebhookError(
                f"{where}: a sample of Iterable's answers, no webhook"
            )
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
