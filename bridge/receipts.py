"""Delivery receipts: matched to a delivery, stored, and applied to it and its route.

Receipts that come in together share a transaction. How a vendor's receipt reads is
decided by its integration.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bridge import logging as logs
from bridge import metrics
from bridge.config import Config
from bridge.integrations import make_receipts, make_sources
from bridge.model import (
    TRANSITIONS,
    Circuit,
    CircuitState,
    DeliveryStatus,
    MatchedBy,
    Receipt,
    ReceiptResult,
    ReceiptType,
    route_circuit,
)
from bridge.retry import PROBE_EVERY
from bridge.store import Store, Transaction, circuits
from bridge.store import receipts as stored
from bridge.store.receipts import DeliveryState, SentMessage

log = logs.get(__name__)

#: Seconds within which a receipt is stored or rejected.
TIMEOUT = 4.0
#: How long after a send a receipt without an id of ours is taken to be about it.
WINDOW = timedelta(hours=24)
#: Vendors state times in whole seconds.
SECOND = timedelta(seconds=1)
#: How far a vendor's clock and ours may be apart.
CLOCK_SKEW = timedelta(minutes=1)
#: Business keys of a publication's messages begin so, its id and a colon after it.
_PUBLICATION = "pub:"
#: States in which a receipt without the delivery's own id may move it: such a match is
#: good, but proves nothing about an attempt that is under way.
_SETTLED = (DeliveryStatus.ACCEPTED, DeliveryStatus.CONFIRMED)
_STOPPED = (CircuitState.OPEN, CircuitState.HALF_OPEN)

#: A delivery's id, and by what it was found.
_Match = tuple[str, MatchedBy]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandledReceipt:
    """What one receipt came to; names no person."""

    result: ReceiptResult
    event_name: str | None
    delivery_id: str | None = None
    route: str | None = None
    matched_by: MatchedBy | None = None
    reason: str | None = None
    campaign_id: int | None = None
    #: Circuit breakers that it opened, and the one that it closed.
    opened: tuple[str, ...] = ()
    closed: str | None = None
    #: Earlier receipts of the same message, which found their delivery by this one.
    earlier: tuple["HandledReceipt", ...] = ()


class ReceiptHandler:
    """Stores receipts whose sender is authenticated, and applies them.

    Args:
        config: For routes, sources and destinations.
        store: Where deliveries and receipts are.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._matcher = ReceiptMatcher(config)
        self._group = store.group(self._write)

    def receive(self, receipt: Receipt, timeout: float = TIMEOUT) -> HandledReceipt:
        """Store a receipt and apply it; all of it is on disk when this returns.

        Args:
            receipt: As the destination's `Receipts.read` gave it.
            timeout: Seconds until it counts as not stored.

        Raises:
            StoreUnavailable: Nothing was kept.
        """
        handled = self._group.submit(receipt, timeout).wait()
        report(handled)
        return handled

    def _write(
        self, tx: Transaction, receipts: Sequence[Receipt]
    ) -> list[HandledReceipt]:
        return [self._handle(tx, receipt) for receipt in receipts]

    def _handle(self, tx: Transaction, receipt: Receipt) -> HandledReceipt:
        match = self._matcher.find(tx, receipt)
        if not stored.insert(tx, receipt, *(match or (None, None))):
            return _handled(receipt, ReceiptResult.REPEATED)
        handled = self._apply(tx, receipt, match)
        opened = tuple(self._stop_routes(tx, receipt, handled.route))
        earlier: list[HandledReceipt] = []
        if match is not None and receipt.message_id is not None:
            # What came of the same message before its delivery was known.
            own = match[0], MatchedBy.MESSAGE_ID
            for one in stored.waiting(tx, receipt.message_id):
                stored.assign(tx, one.identity, *own)
                earlier.append(self._apply(tx, one, own))
        return replace(handled, opened=opened, earlier=tuple(earlier))

    def _apply(
        self, tx: Transaction, receipt: Receipt, match: _Match | None
    ) -> HandledReceipt:
        """Move the delivery and its circuit breaker by what a receipt proves."""
        if match is None:
            return _handled(receipt, ReceiptResult.UNMATCHED)
        result, closed, (delivery_id, matched_by) = ReceiptResult.NOTED, None, match
        state = stored.delivery_state(tx, delivery_id)
        after = None if state is None else next_state(state, receipt, matched_by)
        if state is not None and after is not None:
            if stored.transition(tx, state, after, describe(receipt)):
                stored.set_result(tx, receipt.identity, after)
                result = ReceiptResult(after.value)
            if result is ReceiptResult.CONFIRMED:
                closed = self._close(tx, state)
        return replace(
            _handled(receipt, result),
            delivery_id=delivery_id,
            matched_by=matched_by,
            route=None if state is None else state.route,
            closed=closed,
        )

    def _stop_routes(
        self, tx: Transaction, receipt: Receipt, name: str | None = None
    ) -> Iterator[str]:
        """Open the circuit of the routes whose every message would be skipped alike.

        That of the delivery; where none matches, those of the receipt's campaign. A
        receipt about the time before a route was resumed stops it no more.
        """
        if not receipt.stops_route or receipt.campaign_id is None:
            return
        for route in self._config.routes:
            is_named = name is None or name in route.names
            is_theirs = route.destination == receipt.destination
            # A route for raw bodies has many campaigns: one of them stops nothing.
            if route.campaign_id != receipt.campaign_id or not (is_named and is_theirs):
                continue
            circuit = circuits.get(tx, route_circuit(route.name))
            at = receipt.occurred_at or tx.now
            if circuit.closed_at is not None and at < circuit.closed_at - SECOND:
                continue
            reason = f"messages are skipped: {receipt.reason}: {receipt.explanation}"
            if circuits.open(tx, circuit.name, reason, PROBE_EVERY, needs_receipt=True):
                yield circuit.name

    def _close(self, tx: Transaction, state: DeliveryState) -> str | None:
        """Close the route's circuit where this is the receipt it waits for; name it."""
        route = self._config.route(state.route)
        name = route_circuit(state.route if route is None else route.name)
        if not proves_recovery(state, circuits.get(tx, name)):
            return None
        return name if circuits.close(tx, name, even_paused=False) else None


def _handled(receipt: Receipt, result: ReceiptResult) -> HandledReceipt:
    return HandledReceipt(
        result=result,
        event_name=receipt.event_name,
        campaign_id=receipt.campaign_id,
        reason=describe(receipt),
    )


class ReceiptMatcher:
    """Finds the delivery a receipt is about; reads the ledger and writes nothing.

    By our id, the message's, the publication's, or campaign and person.

    Args:
        config: For routes, sources and destinations.
    """

    def __init__(self, config: Config) -> None:
        self._routes = [name for route in config.routes for name in route.names]
        self._campaigns = {route.campaign_id for route in config.routes}
        self._sources = make_sources(config)
        self._receipts = make_receipts(config)

    def find(self, tx: Transaction, receipt: Receipt) -> _Match | None:
        """Find the delivery; None where there is none, or none that is certain."""
        if receipt.bridge_id is not None:
            state = stored.delivery_state(tx, receipt.bridge_id)
            # Without one it is another bridge's, or erased: in any case no other's.
            return None if state is None else (state.id, MatchedBy.BRIDGE_ID)
        # The message first: a publication may have several, and only the first receipt
        # of each has to be matched by anything else.
        if receipt.message_id is not None:
            found = stored.of_message(tx, receipt.message_id)
            if found is not None:
                return found, MatchedBy.MESSAGE_ID
        found = self._by_publication(tx, receipt)
        if found is not None:
            return found, MatchedBy.PUBLICATION_ID
        found = self._by_person(tx, receipt)
        return None if found is None else (found, MatchedBy.PERSON)

    def _by_publication(self, tx: Transaction, receipt: Receipt) -> str | None:
        if receipt.publication_id is None:
            return None
        prefix = f"{_PUBLICATION}{receipt.publication_id}:"
        ids = stored.of_keys(tx, self._routes, prefix)
        if len(ids) == 1:
            return ids[0]
        return self._closest(receipt, stored.sent(tx, ids), tx.now)

    def _by_person(self, tx: Transaction, receipt: Receipt) -> str | None:
        people = set(_people(tx, receipt))
        if receipt.campaign_id is None or not people:
            return None
        since, until = _window(receipt, tx.now)
        found = stored.sent_to(tx, people, since, until)
        if not found and receipt.email is not None:
            found = self._sent_to_address(tx, receipt, receipt.email)
        return self._closest(receipt, found, tx.now)

    def _sent_to_address(
        self, tx: Transaction, receipt: Receipt, email: str
    ) -> list[SentMessage]:
        """List what was sent lately to the customer the source knows by an address.

        A skip names the address alone, where the message named a user id.
        """
        if None not in self._campaigns and receipt.campaign_id not in self._campaigns:
            return []
        since, until = _window(receipt, tx.now)
        recent = [
            one
            for one in self._fitting(receipt, stored.unconfirmed(tx))
            if since <= one.sent_at <= until
        ]
        captures = stored.captures(tx, [one.id for one in recent])
        theirs = set()
        for delivery_id, key, capture in captures:
            source = self._sources.get(capture.source)
            if source is None:
                continue
            message = source.find(source.parse(capture), key)
            address = None if message is None else message.customer.email
            if isinstance(address, str) and address.lower() == email.lower():
                theirs.add(delivery_id)
        return [one for one in recent if one.id in theirs]

    def _closest(
        self, receipt: Receipt, sent: Sequence[SentMessage], now: datetime
    ) -> str | None:
        """Choose the last fitting send before the receipt's time."""
        at = receipt.occurred_at or now
        fitting = self._fitting(receipt, sent)
        before = [one for one in fitting if one.sent_at <= at + SECOND]
        if before:
            return max(before, key=lambda one: one.sent_at).id
        # Sent after it happened, says a clock that is a little ahead of the vendor's.
        first = min(fitting, key=lambda one: one.sent_at, default=None)
        return None if first is None else first.id

    def _fitting(
        self, receipt: Receipt, sent: Sequence[SentMessage]
    ) -> list[SentMessage]:
        reader = self._receipts.get(receipt.destination)
        if reader is None:
            return []
        return [one for one in sent if reader.may_be_about(receipt, one.payload)]


def next_state(
    state: DeliveryState, receipt: Receipt, matched_by: MatchedBy
) -> DeliveryStatus | None:
    """Say what a delivery becomes by a receipt; None where it stays as it is."""
    after = TRANSITIONS.get((state.status, receipt.type.trigger))
    is_own = matched_by is MatchedBy.BRIDGE_ID
    if after is None or not (is_own or state.status in _SETTLED):
        return None
    is_about_earlier = (
        state.was_redelivered
        and receipt.occurred_at is not None
        and receipt.occurred_at < state.since - CLOCK_SKEW
    )
    return None if is_about_earlier else after


def proves_recovery(state: DeliveryState, circuit: Circuit) -> bool:
    """Tell whether a confirmed delivery shows that the circuit may close."""
    return (
        circuit.needs_receipt
        and circuit.state in _STOPPED
        and circuit.opened_at is not None
        and state.status is not DeliveryStatus.SENDING
        and state.sent_at is not None
        and state.sent_at > circuit.opened_at
    )


def describe(receipt: Receipt) -> str:
    """Say in words what a receipt says."""
    name, word = receipt.event_name, receipt.reason
    match receipt.type:
        case ReceiptType.SENT:
            return f"{receipt.destination} sent it ({name})"
        case ReceiptType.COMPLAINED:
            return f"it arrived, and was reported as spam ({name})"
        case ReceiptType.BOUNCED:
            return f"it bounced ({name}{'' if word is None else f': {word}'})"
        case ReceiptType.SKIPPED:
            why = [word or "no reason given", receipt.explanation]
            parts = [f"{receipt.destination} skipped it", *filter(None, why)]
            return ": ".join(parts)


_EVENTS = {
    ReceiptResult.CONFIRMED: ("info", "delivery.confirmed"),
    ReceiptResult.UNDELIVERED: ("warning", "delivery.undelivered"),
    ReceiptResult.NOTED: ("info", "receipt.noted"),
    ReceiptResult.REPEATED: ("info", "receipt.repeated"),
    ReceiptResult.UNMATCHED: ("info", "receipt.unmatched"),
    ReceiptResult.IGNORED: ("info", "receipt.ignored"),
}

#: What is logged of a receipt.
_FACTS = ("delivery_id", "route", "event_name", "matched_by", "reason", "campaign_id")


def report(handled: HandledReceipt) -> None:
    """Count and log a receipt, once it is committed; an ignored one likewise."""
    metrics.record_receipt(handled.result)
    level, event = _EVENTS[handled.result]
    facts = {name: getattr(handled, name) for name in _FACTS}
    known = {name: value for name, value in facts.items() if value is not None}
    getattr(log, level)(event, **known)
    for name in handled.opened:
        log.error("circuit.opened", circuit=name, reason=handled.reason)
    if handled.closed is not None:
        log.info("circuit.closed", circuit=handled.closed, by="receipt")
    for one in handled.earlier:
        report(one)


def _window(receipt: Receipt, now: datetime) -> tuple[datetime, datetime]:
    """Say from when until when a message was sent that a receipt may be about."""
    at = receipt.occurred_at or now
    return at - WINDOW, at + CLOCK_SKEW


def _people(tx: Transaction, receipt: Receipt) -> Iterator[str]:
    if receipt.user_id is not None:
        yield receipt.user_id
    if receipt.email is not None:
        yield from (receipt.email, receipt.email.lower())
        # A skip names the address alone; earlier receipts say whose it is.
        yield from stored.recipients_of(tx, receipt.email)
