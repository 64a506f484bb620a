"""Erasing a customer: everything the ledger holds of one, found and removed.

What is left names no person: that there was a webhook and a delivery, when, on which
route and with which status, and hashes of the keys that stop a second message.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.config import Lookup, Route
from bridge.privacy import CustomerIdentity, mentions
from bridge.store import Store, Transaction, erasure, jobs
from bridge.store.erasure import PersonDelivery

#: Events changed in one transaction.
BATCH = 20
#: Searches for further names of the same customer; the third seldom finds one.
_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """A customer's names, and the events that concern them."""

    customer: CustomerIdentity
    event_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """How much was, or would be, erased."""

    webhooks: int = 0
    deliveries: int = 0
    #: Of these, such as still waited; they are not sent.
    waiting: int = 0
    payloads: int = 0
    #: Kept as hashes.
    keys: int = 0
    receipts: int = 0
    #: Events of which a worker is sending a delivery right now.
    being_sent: int = 0
    #: Events that another customer's delivery still needs.
    needed: int = 0


def find(store: Store, routes: Sequence[Route], name: str) -> Matches:
    """Find a customer in the whole ledger, under whatever name.

    Args:
        store: The ledger.
        routes: For their look-up files.
        name: The source id, or an e-mail address.

    Raises:
        StoreUnavailable: The database cannot be read.
    """
    rules = [rule for route in routes for rule in route.recipient]
    tables = [rule.table for rule in rules if isinstance(rule, Lookup)]
    customer = CustomerIdentity(
        source_ids=frozenset({name}),
        emails=frozenset({name.strip().lower()} if "@" in name else ()),
    )
    event_ids: set[str] = set()
    for _ in range(_ROUNDS):
        before = customer = _looked_up(customer, tables)
        with store.read() as tx:
            rows = list(erasure.deliveries_to(tx, customer.names))
        event_ids |= {event_id for event_id, _ in rows}
        learnt = {customer_id for _, customer_id in rows if customer_id is not None}
        customer = replace(customer, customer_ids=customer.customer_ids | learnt)
        customer = _in_bodies(store, customer, event_ids)
        if customer == before:
            break
    return Matches(customer=customer, event_ids=tuple(sorted(event_ids)))


def plan(store: Store, matches: Matches) -> ErasureReport:
    """Say what would be erased, and change nothing.

    Raises:
        StoreUnavailable: The database cannot be read.
    """
    with store.read() as tx:
        unmatched = erasure.receipts_about(tx, (), matches.customer.every_email)
    total = Counter(receipts=len(unmatched))
    for batch in _batches(matches.event_ids):
        with store.read() as tx:
            work = _work(tx, batch, matches.customer, lock=False)
            total.update(
                work.counts,
                webhooks=erasure.count_whole(tx, work.event_ids),
                payloads=erasure.count_payloads(tx, work.payloads_of),
                keys=len(erasure.keys_held_by(tx, work.own_ids)),
                receipts=len(erasure.receipts_about(tx, work.own_ids, ())),
            )
    return ErasureReport(**total)


def erase(store: Store, matches: Matches) -> ErasureReport:
    """Erase a customer; what is not yet possible is counted in the report.

    Raises:
        StoreUnavailable: The database cannot be written; what was done remains.
    """
    with store.write() as tx:
        unmatched = erasure.receipts_about(tx, (), matches.customer.every_email)
        total = Counter(receipts=erasure.delete_receipts(tx, unmatched))
        jobs.erase_searches(tx, matches.customer.names)
        erasure.remember_customer(tx, matches.customer.names)
    for batch in _batches(matches.event_ids):
        with store.read() as tx:
            foreseen = _work(tx, batch, matches.customer, lock=False)
            keys = erasure.keys_held_by(tx, foreseen.own_ids)
        with store.write() as tx:
            work = _work(tx, batch, matches.customer, lock=True)
            keys = [one for one in keys if one.delivery_id in work.own_ids]
            erasure.keep_hashes(tx, keys)
            erasure.anonymise(tx, work.own)
            receipts = erasure.receipts_about(tx, work.own_ids, ())
            total.update(
                work.counts,
                payloads=erasure.redact_payloads(tx, work.payloads_of),
                webhooks=erasure.redact_events(tx, work.event_ids),
                keys=len(keys),
                receipts=erasure.delete_receipts(tx, receipts),
            )
            erasure.drop_keys(tx, keys)
    store.truncate_wal()
    return ErasureReport(**total)


def _looked_up(
    customer: CustomerIdentity, tables: Sequence[Mapping[str, str]]
) -> CustomerIdentity:
    names = customer.source_ids | customer.emails
    found = {
        user_id
        for table in tables
        for key, user_id in table.items()
        if key in names or key.strip().lower() in customer.emails
    }
    return replace(customer, looked_up=frozenset(found))


def _in_bodies(
    store: Store, customer: CustomerIdentity, event_ids: set[str]
) -> CustomerIdentity:
    after: str | None = None
    while True:
        # A transaction for each page: a long one would keep the WAL from shrinking.
        with store.read() as tx:
            page = erasure.bodies(tx, after)
        if not page:
            return customer
        after = page[-1][0]
        terms = customer.search_terms()
        for event_id, body in page:
            lower = body.lower()
            if any(term in lower for term in terms):
                matching = [one for one in mentions(body) if customer.matches(one)]
                for mention in matching:
                    customer = customer.merge(mention)
                if matching or customer.is_written_in(lower):
                    event_ids.add(event_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What of some events can be erased now."""

    #: To be redacted.
    event_ids: list[str]
    #: The customer's own deliveries.
    own: list[PersonDelivery]
    #: Deliveries whose payloads go: also others' that name the customer.
    payloads_of: list[str]
    counts: Mapping[str, int]

    @property
    def own_ids(self) -> list[str]:
        return [one.id for one in self.own]


def _work(
    tx: Transaction, batch: Sequence[str], customer: CustomerIdentity, *, lock: bool
) -> _Work:
    """Decide what of some events can be erased now."""
    by_event: dict[str, list[PersonDelivery]] = {one: [] for one in batch}
    for one in erasure.person_deliveries(tx, batch, customer.owns, lock=lock):
        by_event[one.event_id].append(one)
    being_sent, needed = set(), set()
    for event_id, several in by_event.items():
        if any(one.is_being_sent for one in several):
            being_sent.add(event_id)
        elif any(one.is_waiting and not one.is_own for one in several):
            needed.add(event_id)
    own = [
        one
        for event_id, several in by_event.items()
        for one in several
        if one.is_own and event_id not in being_sent
    ]
    free = [one for one in batch if one not in being_sent | needed]
    return _Work(
        event_ids=free,
        own=own,
        payloads_of=[
            *(one.id for one in own if one.event_id in needed),
            *(one.id for event_id in free for one in by_event[event_id]),
        ],
        counts={
            "deliveries": len(own),
            "waiting": sum(one.is_waiting for one in own),
            "being_sent": len(being_sent),
            "needed": len(needed),
        },
    )


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
