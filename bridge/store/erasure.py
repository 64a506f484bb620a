"""What the tables hold of one person, found and removed; the caller decides who it is.

What is left of an erased delivery names no person: its route, times and status, and a
hash of its keys, by which a second message for the same reward is recognised. Among the
keys such a hash has no route, and never expires.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from sqlalchemy import (
    Column,
    ColumnElement,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from bridge.model import DeliveryStatus, EventStatus, Trigger, next_status, sources
from bridge.store import actions
from bridge.store.database import Transaction, as_type, chunks, execute_chunks
from bridge.store.receipts import digest
from bridge.store.schema import (
    attempts,
    deliveries,
    delivery_codes,
    events,
    keys,
    receipts,
)
from bridge.store.types import NO_ID

ERASED = "forgotten at the person's request"
#: In place of a route's name, among the keys.
#: In place of a route's name where the key is a customer's name; no route has it.
_CUSTOMER = "customer:"
NO_ROUTE = ""
#: Bodies read in one transaction.
_PAGE = 500
_WAITING = sources(Trigger.FORGOTTEN)
_IS_WHOLE = events.c.redacted_at.is_(None)
_HAS_PAYLOAD = attempts.c.payload.is_not(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDelivery:
    """One delivery of an event that concerns the person, and whose it is."""

    id: str
    event_id: str
    route: str
    key: str = field(repr=False)
    status: DeliveryStatus
    #: True where it is the person's own.
    is_own: bool

    @property
    def is_waiting(self) -> bool:
        """Tell whether it may still be sent."""
        return self.status in _WAITING

    @property
    def is_being_sent(self) -> bool:
        """Tell whether a worker sends it right now."""
        return self.status is DeliveryStatus.SENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key in plain text, and which delivery holds it."""

    route: str
    key: str = field(repr=False)
    delivery_id: str


def bodies(tx: Transaction, after: str | None) -> list[tuple[str, bytes]]:
    """Read some bodies with their events' ids, in the order of ids.

    Args:
        tx: The transaction.
        after: The last id read before; None for the beginning.
    """
    found = (
        select(events.c.id, events.c.body)
        .where(events.c.id > (after or NO_ID), _IS_WHOLE)
        .order_by(events.c.id)
        .limit(_PAGE)
    )
    return [(row.id, row.body) for row in tx.connection.execute(found)]


def deliveries_to(
    tx: Transaction, names: Iterable[str]
) -> Iterator[tuple[str, str | None]]:
    """Find deliveries by recipient or customer id; yields event id and customer id."""
    for chunk in chunks(sorted(names)):
        is_named = or_(
            deliveries.c.recipient.in_(chunk), deliveries.c.customer_id.in_(chunk)
        )
        found = select(deliveries.c.event_id, deliveries.c.customer_id).where(is_named)
        for row in tx.connection.execute(found).all():
            yield row.event_id, row.customer_id


def person_deliveries(
    tx: Transaction,
    event_ids: Iterable[str],
    is_own: Callable[[str, str | None], bool],
    *,
    lock: bool,
) -> list[PersonDelivery]:
    """List all deliveries of events.

    Args:
        tx: The transaction.
        event_ids: Of which events.
        is_own: Tells by recipient and customer id whether one is the person's own.
        lock: True keeps them as they are until the transaction ends.
    """
    found = []
    for chunk in chunks(sorted(set(event_ids))):
        rows = select(deliveries).where(deliveries.c.event_id.in_(chunk))
        rows = rows.order_by(deliveries.c.id)
        found += [
            as_type(row, PersonDelivery, is_own=is_own(row.recipient, row.customer_id))
            for row in tx.connection.execute(rows.with_for_update() if lock else rows)
        ]
    return found


def count_payloads(tx: Transaction, delivery_ids: Iterable[str]) -> int:
    """Count the payloads kept of deliveries."""
    return _count(tx, attempts.c.delivery_id, delivery_ids, _HAS_PAYLOAD)


def count_whole(tx: Transaction, event_ids: Iterable[str]) -> int:
    """Count the events that are not redacted."""
    return _count(tx, events.c.id, event_ids, _IS_WHOLE)


def redact_payloads(tx: Transaction, delivery_ids: Iterable[str]) -> int:
    """Remove the payloads of deliveries; count them."""
    emptied = update(attempts).where(_HAS_PAYLOAD).values(payload=None)
    return execute_chunks(tx, emptied, attempts.c.delivery_id, delivery_ids)


def redact_events(tx: Transaction, event_ids: Iterable[str]) -> int:
    """Remove bodies and headers of events; count them.

    A parked event becomes `ignored`: nothing can be made of it any more.
    """
    ids = [*event_ids]
    whole = update(events).where(_IS_WHOLE)
    parked = whole.where(events.c.status == EventStatus.PARKED.value)
    ignored = EventStatus.IGNORED.value
    ignoring = parked.values(status=ignored, reason=ERASED, waits_for=None)
    execute_chunks(tx, ignoring, events.c.id, ids)
    actions.redact_reasons(tx, ids)
    emptied = whole.values(body=b"", headers={}, redacted_at=tx.now)
    return execute_chunks(tx, emptied, events.c.id, ids)


def receipts_about(
    tx: Transaction, delivery_ids: Iterable[str], emails: Iterable[str]
) -> list[str]:
    """List the receipts of deliveries, and those of addresses without a delivery."""
    found: list[str] = []
    for chunk in chunks(delivery_ids):
        theirs = select(receipts.c.id).where(receipts.c.delivery_id.in_(chunk))
        found += tx.connection.execute(theirs).scalars()
    for people in chunks(map(digest, emails)):
        unmatched = select(receipts.c.id).where(
            receipts.c.person.in_(people), receipts.c.delivery_id.is_(None)
        )
        found += tx.connection.execute(unmatched).scalars()
    return found


def delete_receipts(tx: Transaction, ids: Iterable[str]) -> int:
    """Delete receipts; count them."""
    return execute_chunks(tx, delete(receipts), receipts.c.id, ids)


def anonymise(tx: Transaction, several: Sequence[PersonDelivery]) -> None:
    """Remove the person from deliveries; those that wait will not be sent.

    The hash of each business key is kept for ever, also where the key itself has
    expired: `reconcile` must not send an erased person's reward again.
    """
    for one in several:
        status = one.status
        if one.is_waiting:
            status = next_status(status, Trigger.FORGOTTEN)
        erased = update(deliveries).where(deliveries.c.id == one.id)
        erased = erased.values(
            key=erased_key(one.route, one.key),
            recipient="",
            customer_id=None,
            code="",
            status=status.value,
            due_at=None,
            token=None,
            message_id=None,
            reason=ERASED,
            updated_at=tx.now,
        )
        tx.connection.execute(erased)
    owned = [
        KeyRow(route=one.route, key=one.key, delivery_id=one.id) for one in several
    ]
    keep_hashes(tx, owned)
    ids = [one.id for one in several]
    actions.redact_reasons(tx, ids)
    execute_chunks(tx, delete(delivery_codes), delivery_codes.c.delivery_id, ids)


def erased_key(route: str, key: str) -> str:
    """Make the key that an erased delivery keeps in place of its own."""
    return f"forgotten:{_hashed(route, key)}"


def forgotten_owners(
    tx: Transaction, pairs: Iterable[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """Find which keys, by route and key, the deliveries of forgotten customers hold."""
    if not tx.connection.scalar(select(exists().where(keys.c.route == NO_ROUTE))):
        return {}
    by_hash = {_hashed(*pair): pair for pair in pairs}
    found: dict[tuple[str, str], str] = {}
    for wanted in chunks(by_hash):
        is_wanted = keys.c.route == NO_ROUTE, keys.c.key.in_(wanted)
        rows = select(keys.c.key, keys.c.delivery_id).where(*is_wanted)
        found |= {
            by_hash[row.key]: row.delivery_id for row in tx.connection.execute(rows)
        }
    return found


def keys_held_by(tx: Transaction, delivery_ids: Sequence[str]) -> list[KeyRow]:
    """List the keys that deliveries hold in plain text.

    It walks over all keys: not for a transaction that others wait for.
    """
    plain = select(keys).where(keys.c.route != NO_ROUTE)
    return [
        as_type(row, KeyRow)
        for some in chunks(delivery_ids)
        for row in tx.connection.execute(plain.where(keys.c.delivery_id.in_(some)))
    ]


def remember_customer(tx: Transaction, names: Iterable[str]) -> None:
    """Keep a hash of each name of an erased customer, for `are_erased`."""
    rows = [KeyRow(route=_CUSTOMER, key=name, delivery_id=NO_ID) for name in names]
    keep_hashes(tx, rows)


def are_erased(tx: Transaction, names: Iterable[str]) -> bool:
    """Tell whether one of these names is an erased customer's.

    Args:
        tx: The transaction.
        names: Source id, e-mail address or customer id, as a vendor lists them.
    """
    wanted = {form for name in names for form in (name, name.strip().lower())}
    return bool(forgotten_owners(tx, [(_CUSTOMER, name) for name in wanted]))


def keep_hashes(tx: Transaction, rows: Sequence[KeyRow]) -> None:
    """Keep the hash of each key for ever; the plain one stays for now.

    Also of a delivery's own key that has expired: its row is gone, and `reconcile` asks
    for it all the same.
    """
    kept = insert(keys).on_conflict_do_nothing(
        index_elements=[keys.c.route, keys.c.key]
    )
    hashes = [
        {
            "route": NO_ROUTE,
            "key": _hashed(one.route, one.key),
            "delivery_id": one.delivery_id,
            "expires_at": None,
        }
        for one in rows
    ]
    if hashes:
        tx.connection.execute(kept, hashes)


def drop_keys(tx: Transaction, rows: Sequence[KeyRow]) -> None:
    """Remove the plain keys, unless another delivery has taken one over meanwhile."""
    gone = delete(keys).where(
        keys.c.route == bindparam("of_route"),
        keys.c.key == bindparam("of_key"),
        keys.c.delivery_id == bindparam("holder"),
    )
    values = [
        {"of_route": one.route, "of_key": one.key, "holder": one.delivery_id}
        for one in rows
    ]
    if values:
        tx.connection.execute(gone, values)


def _hashed(route: str, key: str) -> str:
    return sha256(f"{route}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()


def _count(
    tx: Transaction,
    column: Column[str],
    values: Iterable[str],
    condition: ColumnElement[bool],
) -> int:
    counted = select(func.count()).where(condition)
    return sum(
        tx.connection.scalar(counted.where(column.in_(chunk))) or 0
        for chunk in chunks(values)
    )
