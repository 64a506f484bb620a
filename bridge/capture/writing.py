"""Writing captures: whole or not at all, and for their owner's eyes only."""

import os
import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from bridge.capture.document import dumps
from bridge.errors import CaptureError
from bridge.model import Capture

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


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
