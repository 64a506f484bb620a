"""`python -m benchmarks.ledger`: fill a database with a realistic ledger, quickly.

What is written is what the program itself would have written over three months: real
sample webhooks, the deliveries, keys and payloads they make, in every state. The same
seed and the same end give the same rows.
"""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from random import Random
from typing import Any

from benchmarks.patterns import PERSON, SERIAL, Pattern, patterns
from benchmarks.states import State, States
from bridge.errors import BridgeError
from bridge.store import Store, Tx, open_store
from bridge.store.prepared import Prepared
from bridge.store.schema import attempts, deliveries, events, keys

#: Rows in one transaction: few, as each writes most pages of the unordered indexes.
TRANSACTION = 100_000
#: Rows in one statement; it bounds the memory used.
STATEMENT = 2_000
#: In KiB; the unordered indexes of a million rows fit.
_CACHE = 600_000
#: Over how long the newest rows are spread, among which some wait.
RECENT = timedelta(hours=6)
#: Of the newest rows this part does not wait.
_DONE = 5
_MILLION = 1_000_000
_ODD = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1

Row = dict[str, Any]
_INSERTS = {
    table.name: Prepared(table.insert(), *names)
    for table, names in (
        (
            events,
            (
                *("id", "transport_key", "is_hashed", "received_at", "kind"),
                *("event_type", "door", "status", "reason", "headers", "body"),
            ),
        ),
        (
            deliveries,
            (
                *("id", "event_id", "route", "endpoint", "key", "recipient"),
                *("customer_id", "code", "campaign", "status", "lane", "due_at"),
                *("token", "attempts", "number", "doubts", "aging_since"),
                *("voucher_expires_at", "reason", "created_at", "updated_at"),
            ),
        ),
        (keys, ("route", "key", "delivery_id", "expires_at")),
        (attempts, tuple(attempts.c.keys())),
    )
}


class Blank:
    """A row of which some values differ each time: those with marks in them."""

    def __init__(self, row: Row) -> None:
        self._row = row
        self._varying = [
            (name, value)
            for name, value in row.items()
            if SERIAL in str(value) or PERSON in str(value)
        ]

    def filled(self, serial: str, person: str, **values: object) -> Row:
        """Make a row: with the marks replaced, and with further values."""
        row = {**self._row, **values}
        for name, value in self._varying:
            if isinstance(value, dict):
                several = value.items()
                row[name] = {key: _put(one, serial, person) for key, one in several}
            elif isinstance(value, bytes):
                body = value.replace(SERIAL.encode(), serial.encode())
                row[name] = body.replace(PERSON.encode(), person.encode())
            else:
                row[name] = _put(value, serial, person)
        return row


def _put(text: str, serial: str, person: str) -> str:
    return text.replace(SERIAL, serial).replace(PERSON, person)


class Kind:
    """One pattern as rows that have yet to be filled."""

    def __init__(self, pattern: Pattern) -> None:
        arrival = pattern.arrival
        self.event = Blank(
            {
                "transport_key": arrival.transport_key,
                "is_hashed": arrival.is_hashed,
                "kind": arrival.kind,
                "event_type": arrival.event_type,
                "door": arrival.capture.door,
                "status": arrival.status.value,
                "reason": arrival.reason,
                "headers": dict(arrival.capture.headers),
                "body": arrival.capture.body,
            }
        )
        self.deliveries = [
            Blank(
                {
                    "route": one.route,
                    "endpoint": one.endpoint,
                    "key": one.key,
                    "recipient": one.recipient,
                    "customer_id": one.customer_id,
                    "code": ", ".join(one.codes),
                    "campaign": one.campaign,
                    "voucher_expires_at": one.voucher_expires_at,
                }
            )
            for one in arrival.deliveries
        ]
        self.keys = [
            (Blank({"route": one.route, "key": key}), keep)
            for one in arrival.deliveries
            for key, keep in one.keys
        ]
        self.payloads = [Blank({"payload": one}) for one in pattern.payloads]


class Writer:
    """Makes rows, each with what belongs to it.

    Args:
        options: What was asked for.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._rng = Random(options.seed)
        self._rows: int = options.rows
        self._until: datetime = options.until
        self._span: timedelta = timedelta(days=options.days) - RECENT
        self._recent: int = min(self._rows, options.waiting * _DONE // (_DONE - 1))
        self._waiting: int = min(options.waiting, self._rows)
        self._people = max(1, self._rows // 4)
        several = patterns()
        self._kinds = [Kind(one) for one in several]
        self._sums = list(accumulate(one.share for one in several))
        self._states = States(self._rng, self._until)
        self._made = self._events = 0

    def stories(self) -> Iterator[Mapping[str, Sequence[Row]]]:
        """Make one webhook after the other, the oldest first, by table."""
        while self._made < self._rows:
            (kind,) = self._rng.choices(self._kinds, cum_weights=self._sums)
            yield self._story(kind)

    def _story(self, kind: Kind) -> dict[str, Sequence[Row]]:
        at = self._time()
        self._events += 1
        serial = f"{(self._events * _ODD) & _MASK:016x}"
        person = f"{self._rng.randrange(self._people) * _ODD & _MASK:016x}"
        event = kind.event.filled(serial, person, id=self._id(at), received_at=at)
        rows: dict[str, Sequence[Row]] = {"events": [event]}
        if not kind.deliveries:
            return rows
        own, state = self._id(at), self._state(at)
        rows["deliveries"] = [
            kind.deliveries[0].filled(
                serial,
                person,
                id=own,
                event_id=event["id"],
                aging_since=at,
                created_at=at,
                **state.columns,
            )
        ]
        rows["keys"] = [
            blank.filled(serial, person, delivery_id=own, expires_at=at + keep)
            for blank, keep in kind.keys
        ]
        sent = kind.payloads[0].filled(serial, person)
        rows["attempts"] = [
            {**one, "delivery_id": own, **sent} for one in state.attempts
        ]
        self._made += 1
        return rows

    def _time(self) -> datetime:
        old = self._rows - self._recent
        if self._made < old:
            part = 1 - self._made / old
            return self._until - RECENT - self._span * part
        part = 1 - (self._made - old) / max(1, self._recent)
        return self._until - RECENT * part

    def _state(self, at: datetime) -> State:
        """Let the newest wait, but for some, and exactly as many as wanted."""
        left = self._rows - self._made
        may_wait = left <= self._waiting or self._made % _DONE > 0
        if self._waiting == 0 or left > self._recent or not may_wait:
            return self._states.ended(at)
        self._waiting -= 1
        return self._states.waiting(at)

    def _id(self, at: datetime) -> str:
        """Make a UUIDv7 of a time that has been."""
        milliseconds = int(at.timestamp() * 1000)
        low = f"{self._rng.getrandbits(62) | 2**63:016x}"
        high = f"{milliseconds:012x}7{self._events & 0xFFF:03x}"
        return f"{high[:8]}-{high[8:12]}-{high[12:]}-{low[:4]}-{low[4:]}"


def fill(store: Store, options: argparse.Namespace) -> dict[str, int]:
    """Write everything; returns how many rows each table got.

    Raises:
        SystemExit: The database has rows already.
    """
    with store.read() as tx:
        if tx.connection.execute(events.select().limit(1)).first() is not None:
            sys.exit("this ledger is not empty: name a new database")
    counts = dict.fromkeys(_INSERTS, 0)
    stories = Writer(options).stories()
    while counts["deliveries"] < options.rows:
        with store.write(60.0) as tx:
            if tx.connection.dialect.name == "sqlite":
                tx.connection.exec_driver_sql(f"PRAGMA cache_size = -{_CACHE}")
            for _ in range(TRANSACTION // STATEMENT):
                _write(tx, islice(stories, STATEMENT), counts)
        done = counts["deliveries"]
        print(f"{done:,} of {options.rows:,} deliveries", file=sys.stderr, flush=True)
    # As the delivering process does beside its work, so that a search finds them.
    while store.ledger.note_words(timedelta(0)):
        pass
    return counts


def _write(
    tx: Tx, stories: Iterable[Mapping[str, Sequence[Row]]], counts: dict[str, int]
) -> None:
    several = list(stories)
    for name, insert in _INSERTS.items():
        rows = [row for story in several for row in story.get(name, ())]
        insert.run(tx.connection, rows)
        counts[name] += len(rows)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ledger", description=__doc__
    )
    add = parser.add_argument
    add("--database-url", required=True, help="a new one; its tables are made")
    add("--rows", type=int, default=_MILLION, help="deliveries (1,000,000)")
    add("--waiting", type=int, default=50_000, help="of these still wait (50,000)")
    add("--days", type=float, default=90, help="over how many days (90)")
    add("--seed", type=int, default=1, help="of everything that is drawn (1)")
    add(
        "--until",
        type=_moment,
        default=datetime.now(UTC).replace(microsecond=0),
        help="when the newest came (now), such as 2026-11-20T12:00:00Z",
    )
    return parser.parse_args(arguments)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    began = time.monotonic()
    try:
        store = open_store(options.database_url)
        store.migrate()
        counts = fill(store, options)
        store.close()
    except BridgeError as error:
        print(f"the ledger could not be filled: {error}", file=sys.stderr)
        return 1
    several = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    print(f"{several} in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
