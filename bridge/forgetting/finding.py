"""Where a person is: everything in the ledger that names one, under whatever name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.config import Lookup, Route
from bridge.person import Person
from bridge.store import Store
from bridge.voucherify import mentions

#: Looks for further names of the same person; a name is seldom learnt after the second.
_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Where a person is."""

    person: Person
    event_ids: tuple[str, ...]


class Finder:
    """Looks for people.

    Args:
        store: The ledger.
        routes: For their look-up files.
    """

    def __init__(self, store: Store, routes: Sequence[Route]) -> None:
        self._store = store
        self._tables = [
            rule.table
            for route in routes
            for rule in route.recipient
            if isinstance(rule, Lookup)
        ]

    def find(self, name: str) -> Findings:
        """Look for a person through the whole ledger.

        Args:
            name: The source id, or an e-mail address.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        person = Person(
            source_ids=frozenset({name}),
            emails=frozenset({name.strip().lower()} if "@" in name else ()),
        )
        event_ids: set[str] = set()
        for _ in range(_ROUNDS):
            before = person = self._with_looked_up(person)
            person = self._among_deliveries(person, event_ids)
            person = self._among_bodies(person, event_ids)
            if person == before:
                break
        return Findings(person=person, event_ids=tuple(sorted(event_ids)))

    def _with_looked_up(self, person: Person) -> Person:
        names = person.source_ids | person.emails
        found = {
            user_id
            for table in self._tables
            for key, user_id in table.items()
            if key in names or key.strip().lower() in person.emails
        }
        return replace(person, looked_up=frozenset(found))

    def _among_deliveries(self, person: Person, event_ids: set[str]) -> Person:
        with self._store.read() as tx:
            for event_id, customer_id in self._store.forgetting.told_to(
                tx, [*person.names]
            ):
                event_ids.add(event_id)
                if customer_id is not None:
                    known = person.customer_ids | {customer_id}
                    person = replace(person, customer_ids=known)
        return person

    def _among_bodies(self, person: Person, event_ids: set[str]) -> Person:
        after: str | None = None
        while True:
            # A transaction for each page: a long one would keep the log from shrinking.
            with self._store.read() as tx:
                page = self._store.forgetting.bodies(tx, after)
            if not page:
                return person
            after = page[-1][0]
            needles = person.needles()
            for event_id, body in page:
                lower = body.lower()
                if any(needle in lower for needle in needles):
                    meant = [one for one in mentions(body) if person.is_meant(one)]
                    for mention in meant:
                        person = person.also(mention)
                    if meant or person.is_written_in(lower):
                        event_ids.add(event_id)
