"""What operators do, and the audit log of it.

Deliveries are put back in the queue, or closed: each change is one conditional UPDATE
of a row that is locked and whose status allows it, together with its entry in the log.
The log has a row for each action of a person on a delivery, event or circuit breaker.
"""

from collections.abc import Iterable, Sequence
from typing import Any, overload

from sqlalchemy import (
    ColumnElement,
    bindparam,
    delete,
    exists,
    insert,
    select,
    update,
)

from bridge.errors import TransitionError
from bridge.model import (
    Action,
    AuditEntry,
    DeliveryStatus,
    Trigger,
    next_status,
    sources,
)
from bridge.store.database import Transaction, as_type, chunks, execute_chunks
from bridge.store.schema import audit_log, deliveries, events
from bridge.store.types import as_id, new_id

#: Most characters kept of a text that a person typed.
LONGEST = 500
#: Entries listed of one circuit breaker.
_SHOWN = 20
#: A payload can still be made of its event.
_IS_KEPT = ~exists().where(
    events.c.id == deliveries.c.event_id, events.c.redacted_at.is_not(None)
)
_ACTIONS = {
    Trigger.RESOLVED_SENT: Action.RESOLVE_SENT,
    Trigger.RESOLVED_DROPPED: Action.DROP,
}


def redeliver(
    tx: Transaction, ids: Sequence[str], *, actor: str, force: bool = False
) -> list[str]:
    """Put deliveries back in the queue as if new; attempts and keys are kept.

    Args:
        tx: The transaction.
        ids: Which deliveries.
        actor: Written to the audit log.
        force: Also those that were accepted, wait, or are in doubt.

    Returns:
        The ids that were put back, in the given order. The others are in a state that
        does not allow it, or their event is redacted.
    """
    trigger = Trigger.REDELIVER_FORCED if force else Trigger.REDELIVER
    found = _allowed(tx, ids, trigger, _IS_KEPT)
    values = {
        "due_at": tx.now,
        "attempts": 0,
        "unknown_outcomes": 0,
        "age_started_at": tx.now,
        "message_id": None,
        "reason": None,
    }
    _change(tx, found, DeliveryStatus.PENDING, values)
    tx.notify_workers = tx.notify_workers or bool(found)
    record(tx, actor, Action.REDELIVER, found)
    return [delivery_id for delivery_id, _ in found]


def close_many(
    tx: Transaction, ids: Sequence[str], trigger: Trigger, reason: str, *, actor: str
) -> list[str]:
    """Close held or dead deliveries.

    Args:
        tx: The transaction.
        ids: Which deliveries.
        trigger: `RESOLVED_SENT` or `RESOLVED_DROPPED`.
        reason: As typed; kept with the delivery and in the audit log.
        actor: Written to the audit log.

    Returns:
        The ids that were closed; the state of the others does not allow it.
    """
    found = _allowed(tx, ids, trigger)
    # Both triggers lead to one status, whatever the status before.
    status = {next_status(DeliveryStatus(before), trigger) for _, before in found}
    for after in status:
        _change(tx, found, after, {"due_at": None, "reason": cut(reason)})
    record(tx, actor, _ACTIONS[trigger], found, reason)
    return [delivery_id for delivery_id, _ in found]


def resolve(
    tx: Transaction, delivery_id: str, trigger: Trigger, reason: str, *, actor: str
) -> None:
    """Close one held or dead delivery.

    Raises:
        TransitionError: There is no such delivery, or its state does not allow it.
    """
    if close_many(tx, [delivery_id], trigger, reason, actor=actor):
        return
    known = as_id(delivery_id)
    found = select(deliveries.c.status).where(deliveries.c.id == known)
    before = None if known is None else tx.connection.scalar(found)
    if before is None:
        raise TransitionError(f"there is no delivery {delivery_id[:40]}")
    next_status(DeliveryStatus(before), trigger)


def _allowed(
    tx: Transaction,
    ids: Sequence[str],
    trigger: Trigger,
    *conditions: ColumnElement[bool],
) -> list[tuple[str, str]]:
    """Lock the deliveries whose state has a transition; ids and states, in order."""
    allowed = {status.value for status in sources(trigger)}
    known = [*dict.fromkeys(one for one in map(as_id, ids) if one is not None)]
    found: dict[str, str] = {}
    # Locked in the order of ids, so that two operators cannot wait for each other.
    for chunk in chunks(sorted(known)):
        rows = select(deliveries.c.id, deliveries.c.status).where(
            deliveries.c.id.in_(chunk), *conditions
        )
        locked = rows.order_by(deliveries.c.id).with_for_update(of=deliveries)
        found |= {
            row.id: row.status
            for row in tx.connection.execute(locked)
            if row.status in allowed
        }
    return [(one, found[one]) for one in known if one in found]


def _change(
    tx: Transaction,
    found: Sequence[tuple[str, str]],
    status: DeliveryStatus,
    values: dict[str, Any],
) -> None:
    if not found:
        return
    changed = update(deliveries).where(
        deliveries.c.id == bindparam("changed"),
        deliveries.c.status == bindparam("from_status"),
    )
    values |= {"status": status.value, "token": None, "updated_at": tx.now}
    rows = [{"changed": one, "from_status": before} for one, before in found]
    tx.connection.execute(changed.values(values), rows)


@overload
def cut(text: str) -> str: ...
@overload
def cut(text: str | None) -> str | None: ...
def cut(text: str | None) -> str | None:
    """Cut a text to the length that rows keep."""
    if text is None or len(text) <= LONGEST:
        return text
    return text[: LONGEST - 1] + "…"


def record(
    tx: Transaction,
    actor: str,
    action: Action,
    targets: Sequence[tuple[str, str | None]],
    reason: str | None = None,
) -> None:
    """Record an action on deliveries or events.

    Args:
        tx: The transaction that changes them, so that both are kept or neither.
        actor: `cli` or an operator's name.
        action: What was done.
        targets: Id of each delivery or event, and its status before.
        reason: As typed.
    """
    rows = [
        _row(tx, actor, action, reason) | {"target_id": target_id, "status": status}
        for target_id, status in targets
    ]
    if rows:
        tx.connection.execute(insert(audit_log), rows)


def record_circuit(
    tx: Transaction, actor: str, action: Action, circuit: str, reason: str | None = None
) -> None:
    """Record an action on a circuit breaker."""
    row = _row(tx, actor, action, reason) | {"circuit": circuit}
    tx.connection.execute(insert(audit_log), [row])


def of_target(tx: Transaction, target_id: str) -> list[AuditEntry]:
    """List what was done to a delivery or an event, the first first."""
    found = select(audit_log).where(audit_log.c.target_id == target_id)
    rows = tx.connection.execute(found.order_by(audit_log.c.id))
    return [as_type(row, AuditEntry) for row in rows]


def of_circuit(tx: Transaction, name: str) -> list[AuditEntry]:
    """List what was done to a circuit breaker, the newest first, at most 20."""
    found = select(audit_log).where(audit_log.c.circuit == name)
    newest = found.order_by(audit_log.c.id.desc()).limit(_SHOWN)
    return [as_type(row, AuditEntry) for row in tx.connection.execute(newest)]


def redact_reasons(tx: Transaction, target_ids: Iterable[str]) -> None:
    """Remove the reasons people typed for these targets; they may name a person."""
    unsaid = update(audit_log).values(reason=None)
    execute_chunks(tx, unsaid, audit_log.c.target_id, target_ids)


def delete_entries(tx: Transaction, target_ids: Iterable[str]) -> None:
    """Delete the entries of deliveries and events that are deleted themselves."""
    execute_chunks(tx, delete(audit_log), audit_log.c.target_id, target_ids)


def _row(
    tx: Transaction, actor: str, action: Action, reason: str | None
) -> dict[str, Any]:
    return {
        "id": new_id(),
        "at": tx.now,
        "actor": cut(actor),
        "action": action.value,
        "reason": cut(reason),
    }
