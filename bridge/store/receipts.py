"""Delivery receipts and the deliveries they may be about; decides nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_skip

from bridge.model import (
    Capture,
    DeliveryStatus,
    MatchedBy,
    Receipt,
    StoredReceipt,
)
from bridge.store.actions import cut
from bridge.store.database import Transaction, as_type
from bridge.store.schema import (
    IS_UNCONFIRMED,
    LAST_ATTEMPT,
    attempts,
    deliveries,
    events,
    keys,
    receipts,
)
from bridge.store.types import as_id, begins_with, new_id

#: Most deliveries that one receipt is compared with.
_MOST = 50
#: Most recent deliveries read for a receipt whose address no earlier receipt had.
_NEWEST = 500
_IS_UNMATCHED = receipts.c.delivery_id.is_(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """The delivery a receipt is about, as far as it decides what the receipt does."""

    id: str
    status: DeliveryStatus
    route: str
    destination: str
    #: True where it was redelivered after an attempt.
    was_redelivered: bool
    #: When it was stored or redelivered, whichever is later.
    since: datetime
    #: When its last attempt began; None before the first.
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """An accepted delivery and the payload its last attempt sent."""

    id: str
    sent_at: datetime
    payload: bytes


def insert(
    tx: Transaction,
    receipt: Receipt,
    delivery_id: str | None,
    matched_by: MatchedBy | None,
) -> bool:
    """Keep a receipt.

    Returns:
        False for one that was kept before and says nothing new. One that was kept
        without a delivery and has one now is new.
    """
    row = {
        "id": new_id(),
        "identity": cut(receipt.identity),
        "received_at": tx.now,
        "occurred_at": receipt.occurred_at,
        "destination": receipt.destination,
        "event_name": cut(receipt.event_name),
        "type": receipt.type.value,
        "reason": cut(receipt.reason),
        "message_id": cut(receipt.message_id),
        "campaign_id": receipt.campaign_id,
        "person": digest(receipt.email),
        "delivery_id": delivery_id,
        "matched_by": None if matched_by is None else matched_by.value,
        "result": None,
    }
    kept = insert_or_skip(receipts).on_conflict_do_nothing(
        index_elements=[receipts.c.identity]
    )
    kept = kept.execution_options(preserve_rowcount=True)
    if tx.connection.execute(kept, row).rowcount == 1:
        return True
    if delivery_id is None or matched_by is None:
        return False
    return assign(tx, receipt.identity, delivery_id, matched_by)


def assign(
    tx: Transaction, identity: str, delivery_id: str, matched_by: MatchedBy
) -> bool:
    """Give a receipt without a delivery its delivery; False where it has one."""
    is_free = receipts.c.identity == cut(identity), receipts.c.delivery_id.is_(None)
    values = {"delivery_id": delivery_id, "matched_by": matched_by.value}
    given = tx.connection.execute(update(receipts).where(*is_free).values(values))
    return given.rowcount == 1


def set_result(tx: Transaction, identity: str, status: DeliveryStatus) -> None:
    """Record what the delivery became by a receipt."""
    is_it = receipts.c.identity == cut(identity)
    tx.connection.execute(update(receipts).where(is_it).values(result=status.value))


def waiting(tx: Transaction, message_id: str) -> list[Receipt]:
    """List the receipts of a message that have no delivery yet."""
    found = select(receipts).where(
        receipts.c.message_id == cut(message_id), receipts.c.delivery_id.is_(None)
    )
    return [as_type(row, Receipt) for row in tx.connection.execute(found)]


def delivery_state(tx: Transaction, delivery_id: str) -> DeliveryState | None:
    """Read a delivery and lock it until the transaction ends; None without one."""
    known = as_id(delivery_id)
    times = attempts.c.started_at.label("sent_at"), deliveries.c.age_started_at
    columns = [*times, times[1].label("since"), *deliveries.c]
    joined = deliveries.outerjoin(attempts, LAST_ATTEMPT)
    found = select(*columns).select_from(joined).where(deliveries.c.id == known)
    row = None
    if known is not None:
        row = tx.connection.execute(found.with_for_update(of=deliveries)).first()
    if row is None:
        return None
    return as_type(row, DeliveryState, was_redelivered=row.attempt_no != row.attempts)


def transition(
    tx: Transaction, state: DeliveryState, status: DeliveryStatus, reason: str
) -> bool:
    """Write what a delivery became by a receipt; False where its status changed.

    A worker that sends it right now finds its claim gone. Its attempt is counted here,
    because its result will not be.
    """
    values: dict[str, Any] = {
        "status": status.value,
        "due_at": None,
        "reason": cut(reason),
        "updated_at": tx.now,
    }
    if state.status is DeliveryStatus.SENDING:
        values["attempt_no"] = deliveries.c.attempt_no + 1
        values["attempts"] = deliveries.c.attempts + 1
    is_same = deliveries.c.id == state.id, deliveries.c.status == state.status.value
    changed = tx.connection.execute(update(deliveries).where(*is_same).values(values))
    return changed.rowcount == 1


def of_delivery(tx: Transaction, delivery_id: str) -> list[StoredReceipt]:
    """List the receipts of a delivery in the order they came."""
    found = select(receipts).where(receipts.c.delivery_id == delivery_id)
    rows = tx.connection.execute(found.order_by(receipts.c.id))
    return [as_type(row, StoredReceipt) for row in rows]


def newest(
    tx: Transaction,
    limit: int,
    since: datetime | None = None,
    *,
    only_unmatched: bool = False,
) -> list[StoredReceipt]:
    """List receipts received at or after a time, the newest first.

    Args:
        tx: The transaction.
        limit: The most to list.
        since: None for all times.
        only_unmatched: True for those that fit no delivery.
    """
    found = select(receipts).where(*_since(since))
    if only_unmatched:
        found = found.where(_IS_UNMATCHED)
    rows = tx.connection.execute(found.order_by(receipts.c.id.desc()).limit(limit))
    return [as_type(row, StoredReceipt) for row in rows]


def count_unmatched(tx: Transaction, since: datetime | None = None) -> int:
    """Count the receipts that fit no delivery."""
    found = select(func.count()).where(*_since(since), _IS_UNMATCHED)
    return tx.connection.scalar(found) or 0


def of_message(tx: Transaction, message_id: str) -> str | None:
    """Find the delivery that an earlier receipt of the same message had."""
    found = select(receipts.c.delivery_id).where(
        receipts.c.message_id == cut(message_id), receipts.c.delivery_id.is_not(None)
    )
    delivery_id = tx.connection.scalar(found.limit(1))
    return None if delivery_id is None else str(delivery_id)


def of_keys(tx: Transaction, routes: Sequence[str], prefix: str) -> list[str]:
    """List the deliveries that own keys of these routes with a prefix, at most 50."""
    found = select(keys.c.delivery_id).where(
        keys.c.route.in_(routes), begins_with(keys.c.key, prefix)
    )
    return [*tx.connection.execute(found.distinct().limit(_MOST)).scalars()]


def sent(tx: Transaction, ids: Iterable[str]) -> list[SentMessage]:
    """List which of these deliveries are accepted, the last sent first."""
    return _sent(tx, _accepted().where(deliveries.c.id.in_([*ids])))


def sent_to(
    tx: Transaction, recipients: Iterable[str], since: datetime, until: datetime
) -> list[SentMessage]:
    """List what was accepted for recipients in a time, the last sent first."""
    is_wanted = deliveries.c.recipient.in_([*recipients])
    in_time = attempts.c.started_at.between(since, until)
    return _sent(tx, _accepted().where(is_wanted, in_time))


def unconfirmed(tx: Transaction) -> list[SentMessage]:
    """List the newest 500 accepted deliveries without a receipt."""
    last = select(deliveries.c.id).where(IS_UNCONFIRMED)
    newest = last.order_by(deliveries.c.id.desc()).limit(_NEWEST)
    found = _payloads().where(deliveries.c.id.in_(newest))
    return _sent(tx, found.where(attempts.c.payload.is_not(None)))


def captures(tx: Transaction, ids: Iterable[str]) -> list[tuple[str, str, Capture]]:
    """Read deliveries: the id, the business key, and the webhook as received."""
    joined = deliveries.join(events, events.c.id == deliveries.c.event_id)
    columns = events.c.body, events.c.source, events.c.endpoint
    found = select(deliveries.c.id, deliveries.c.key, *columns).select_from(joined)
    rows = tx.connection.execute(found.where(deliveries.c.id.in_([*ids])))
    return [(row.id, row.key, as_type(row, Capture)) for row in rows]


def recipients_of(tx: Transaction, email: str) -> list[str]:
    """List the recipients of earlier receipts that named an address."""
    joined = receipts.join(deliveries, deliveries.c.id == receipts.c.delivery_id)
    is_theirs = receipts.c.person == digest(email), receipts.c.delivery_id.is_not(None)
    found = select(deliveries.c.recipient).select_from(joined).where(*is_theirs)
    return [*tx.connection.execute(found.distinct().limit(_MOST)).scalars()]


def digest(email: str | None) -> str | None:
    """Hash an address, whatever its case: it recognises a person and names none."""
    if email is None:
        return None
    return sha256(email.lower().encode("utf-8", "replace")).hexdigest()


def _payloads() -> Select[Any]:
    sent_at = attempts.c.started_at.label("sent_at")
    columns = deliveries.c.id, sent_at, attempts.c.payload
    return select(*columns).select_from(deliveries.join(attempts, LAST_ATTEMPT))


def _accepted() -> Select[Any]:
    is_accepted = deliveries.c.status == DeliveryStatus.ACCEPTED.value
    found = _payloads().where(is_accepted, attempts.c.payload.is_not(None))
    return found.order_by(attempts.c.started_at.desc()).limit(_MOST)


def _sent(tx: Transaction, statement: Select[Any]) -> list[SentMessage]:
    return [as_type(row, SentMessage) for row in tx.connection.execute(statement)]


def _since(since: datetime | None) -> tuple[ColumnElement[bool], ...]:
    return () if since is None else (receipts.c.received_at >= since,)
