"""Finding captured webhooks: in a file, in the lines of one, in a folder."""

import os
import stat
import sys
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Literal

from bridge.capture.document import NoWebhookError, is_document, parse
from bridge.errors import CaptureError
from bridge.model import Capture

_LINES = (".jsonl", ".ndjson")
_SUFFIXES = frozenset({".json", *_LINES})


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One webhook found, and where."""

    #: `captures/a.json`, or `all.jsonl line 3`.
    where: str
    capture: Capture


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
    except NoWebhookError as other:
        skipped(f"{other.reason}, skipped")
    except CaptureError as error:
        unreadable(error)


def _from_file(
    path: Path, unreadable: Callable[[CaptureError], None]
) -> Iterator[Found]:
    if path.name == "manifest.jsonl":
        raise NoWebhookError(f"{path}: lists the samples beside it, no webhook")
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
    if second and (name.endswith(_LINES) or is_document(first)):
        for number, line in enumerate(chain((first, second), stream), start=1):
            text = line.rstrip(b"\r\n")
            if text.strip():
                yield from _from_line(text, f"{name} line {number}", unreadable)
    else:
        body = first + second + stream.read()
        yield Found(where=name, capture=parse(body, name))


def _from_line(
    text: bytes, where: str, unreadable: Callable[[CaptureError], None]
) -> Iterator[Found]:
    try:
        capture = parse(text, where)
    except CaptureError as error:
        unreadable(error)
    else:
        yield Found(where=where, capture=capture)
