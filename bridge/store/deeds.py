"""What people do by hand, written down beside what it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, insert, select, update

from bridge.store.database import AnyRow, Tx
from bridge.store.ids import new_id
from bridge.store.schema import CHUNK, deeds

#: Of a gate, so many of the newest are told.
_TOLD = 20


class By(StrEnum):
    """Where it was done."""

    SHELL = "shell"
    CONSOLE = "console"


class Action(StrEnum):
    """What was done."""

    REDELIVER = "redeliver"
    RESOLVE_SENT = "resolve_sent"
    DROP = "drop"
    REPLAY = "replay"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing done by hand."""

    at: datetime
    by: By
    action: Action
    #: The delivery or event it was done to; None for a gate.
    subject: str | None = None
    gate: str | None = None
    #: Where that stood before.
    status: str | None = None
    #: As typed.
    reason: str | None = None


def note(
    tx: Tx,
    by: By,
    action: Action,
    subjects: Sequence[tuple[str, str | None]],
    reason: str | None = None,
) -> None:
    """Write down what was done to deliveries or events: ids, and states before."""
    rows = [
        {
            "id": new_id(),
            "at": tx.now,
            "by": by.value,
            "action": action.value,
            "subject": subject,
            "status": status,
            "reason": reason,
        }
        for subject, status in subjects
    ]
    if rows:
        tx.connection.execute(insert(deeds), rows)


def note_gate(
    tx: Tx, by: By, action: Action, gate: str, reason: str | None = None
) -> None:
    """Write down what was done to a gate."""
    row = {"id": new_id(), "at": tx.now, "gate": gate, "reason": reason}
    tx.connection.execute(
        insert(deeds), [row | {"by": by.value, "action": action.value}]
    )


def of_subject(tx: Tx, subject: str) -> tuple[Deed, ...]:
    """Tell what was done to a delivery or an event, the first first."""
    found = select(deeds).where(deeds.c.subject == subject).order_by(deeds.c.id)
    return tuple(_deed(row) for row in tx.connection.execute(found))


def of_gate(tx: Tx, gate: str) -> tuple[Deed, ...]:
    """Tell what was done to a gate, the newest first."""
    found = select(deeds).where(deeds.c.gate == gate).order_by(deeds.c.id.desc())
    return tuple(_deed(row) for row in tx.connection.execute(found.limit(_TOLD)))


def silence(tx: Tx, subjects: Sequence[str]) -> None:
    """Remove the words in which somebody said why; they may name a person."""
    for start in range(0, len(subjects), CHUNK):
        chunk = subjects[start : start + CHUNK]
        is_one = deeds.c.subject.in_(chunk)
        tx.connection.execute(update(deeds).where(is_one).values(reason=None))


def forget(tx: Tx, subjects: Sequence[str]) -> None:
    """Remove what was done to deliveries and events that are removed themselves."""
    for start in range(0, len(subjects), CHUNK):
        chunk = subjects[start : start + CHUNK]
        tx.connection.execute(delete(deeds).where(deeds.c.subject.in_(chunk)))


def _deed(row: AnyRow) -> Deed:
    return Deed(
        at=row.at,
        by=By(row.by),
        action=Action(row.action),
        subject=row.subject,
        gate=row.gate,
        status=row.status,
        reason=row.reason,
    )
