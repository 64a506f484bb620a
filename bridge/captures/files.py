"""Captured webhooks in files: found in a file, its lines or a folder; and written."""

import json
import os
import re
import stat
import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Literal

from bridge.captures.document import NotAWebhook, dumps, is_document, parse
from bridge.errors import CaptureError
from bridge.model import Capture

_LINES = (".jsonl", ".ndjson")
_SUFFIXES = frozenset({".json", ".har", *_LINES})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturedWebhook:
    """One webhook found, and where."""

    #: `captures/a.json`, or `all.jsonl line 3`.
    where: str
    capture: Capture


def _raise(error: CaptureError) -> None:
    raise error


def iter_captures(
    source: Path | Literal["-"],
    skipped: Callable[[str], None] = lambda _: None,
    unreadable: Callable[[CaptureError], None] = _raise,
) -> Iterator[CapturedWebhook]:
    """Read the webhooks of a file or a folder.

    A file is a body, a capture, JSON Lines of them, or another tool's recording. A
    folder is read whole, subfolders included, in the order of the names.

    Args:
        source: What to read; `-` is standard input.
        skipped: Given a sentence for each file of a folder that is no webhook.
        unreadable: Given the error of one file among several, or one line, that cannot
            be read; the others are read, unless it raises.

    Raises:
        CaptureError: The source cannot be read; raised when the iterator gets there.
    """
    if source == "-":
        yield from _from_bytes(sys.stdin.buffer.read(), "standard input", unreadable)
    elif _kind(source) == stat.S_IFDIR:
        for path in _members(source, unreadable):
            yield from _from_member(path, skipped, unreadable)
    else:
        yield from _from_file(source, unreadable)


def _kind(path: Path) -> int:
    """Tell what a path leads to: one of `stat`'s kinds of files."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}") from error


def _members(folder: Path, unreadable: Callable[[CaptureError], None]) -> list[Path]:
    """List every file below a folder."""

    def report(error: OSError) -> None:
        unreadable(CaptureError(f"{error.filename}: cannot be read: {error.strerror}"))

    return sorted(
        Path(where, name)
        for where, _, names in os.walk(folder, onerror=report)
        for name in names
    )


def _from_member(
    path: Path,
    skipped: Callable[[str], None],
    unreadable: Callable[[CaptureError], None],
) -> Iterator[CapturedWebhook]:
    """Read one file of a folder, unless it is something else."""
    if path.name.startswith(".") or path.suffix not in _SUFFIXES:
        skipped(f"{path}: skipped, not named like a webhook (.json, .jsonl, .ndjson)")
        return
    try:
        yield from _from_file(path, unreadable)
    except NotAWebhook as other:
        skipped(f"{other.reason}, skipped")
    except CaptureError as error:
        unreadable(error)


def _from_file(
    path: Path, unreadable: Callable[[CaptureError], None]
) -> Iterator[CapturedWebhook]:
    if path.name == "manifest.jsonl":
        raise NotAWebhook(f"{path}: lists the samples beside it, no webhook")
    if _kind(path) != stat.S_IFREG:
        # A pipe or a device may never end.
        raise CaptureError(f"{path}: is no ordinary file (- reads standard input)")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise CaptureError(f"{path}: cannot be read: {error.strerror}") from error
    yield from _from_bytes(text, str(path), unreadable)


def _from_bytes(
    text: bytes, name: str, unreadable: Callable[[CaptureError], None]
) -> Iterator[CapturedWebhook]:
    """Read one document, one on each line, or several one after another."""
    text = _utf8(text, name)
    lines = text.splitlines()
    # A single document cannot go on after its end: then each line is one.
    if len(lines) > 1 and (name.endswith(_LINES) or is_document(lines[0])):
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield from _from_line(line, f"{name} line {number}", unreadable)
        return
    documents = _documents(text)
    if len(documents) <= 1:
        yield from _webhooks(text, name)
        return
    for number, one in enumerate(documents, start=1):
        yield from _from_line(one, f"{name} document {number}", unreadable)


def _utf8(text: bytes, name: str) -> bytes:
    """Recode UTF-16 by its byte order mark, and take a mark of UTF-8 away."""
    if text.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        try:
            return text.decode("utf-16").encode()
        except ValueError:
            raise CaptureError(f"{name}: is not valid UTF-16") from None
    return text.removeprefix(BOM_UTF8)


def _documents(text: bytes) -> list[bytes]:
    """Split JSON documents written one after another; [] where it is not that."""
    try:
        rest = text.decode()
    except UnicodeDecodeError:
        return []
    decoder, found, start = json.JSONDecoder(), list[bytes](), 0
    while start < len(rest):
        try:
            _, end = decoder.raw_decode(rest, start)
        except (ValueError, RecursionError):
            return []
        found.append(rest[start:end].encode())
        start = end + len(rest[end:]) - len(rest[end:].lstrip())
    return found


def _from_line(
    text: bytes, where: str, unreadable: Callable[[CaptureError], None]
) -> Iterator[CapturedWebhook]:
    try:
        yield from list(_webhooks(text, where))
    except CaptureError as error:
        unreadable(error)


def _webhooks(text: bytes, where: str) -> Iterator[CapturedWebhook]:
    for capture in parse(text, where):
        yield CapturedWebhook(where=where, capture=capture)


def write(
    folder: Path, capture: Capture, *, received_at: datetime, name: str | None = None
) -> Path:
    """Write a capture file that only its owner may read, whole or not at all.

    Args:
        folder: Made where missing.
        capture: What to write.
        received_at: When it was received, UTC.
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
