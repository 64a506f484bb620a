"""Taking a person out of the ledger, in short transactions, or saying what would go."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bridge.forgetting.finding import Findings
from bridge.person import Person
from bridge.store import Store, Tx
from bridge.store.forgetting import Share

#: Events changed in one transaction.
BATCH = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was, or would be, taken out."""

    webhooks: int = 0
    deliveries: int = 0
    #: Of these, such as still waited; they will not be sent.
    waiting: int = 0
    payloads: int = 0
    #: Kept as hashes until they expire.
    keys: int = 0
    #: Of what Iterable reported.
    reports: int = 0
    #: Events of which a worker is sending a delivery just now.
    being_sent: int = 0
    #: Events that somebody else's delivery still needs.
    needed: int = 0

    def plus(self, other: "Report") -> "Report":
        """Add another one up with it."""
        return Report(
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in self.__slots__
            }
        )


class Forgetting:
    """Takes people out of a ledger.

    Args:
        store: The ledger.
        rest: Waits so many seconds.
    """

    def __init__(self, store: Store, rest: Callable[[float], object]) -> None:
        self._store = store
        self._rest = rest

    def plan(self, findings: Findings) -> Report:
        """Say what would be taken out, and change nothing.

        Raises:
            StoreUnavailable: The database cannot be read.
        """
        store, mails = self._store, findings.person.every_email
        with store.read() as tx:
            total = Report(reports=len(store.forgetting.reports_on(tx, (), mails)))
        for batch in _batches(findings.event_ids):
            with store.read() as tx:
                work = self._work(tx, batch, findings.person, keep=False)
                found = replace(
                    work.report,
                    webhooks=store.forgetting.whole(tx, work.event_ids),
                    payloads=store.forgetting.payloads(tx, work.payloads_of),
                    keys=len(store.keys_forgotten.held_by(tx, work.own_ids)),
                    reports=len(store.forgetting.reports_on(tx, work.own_ids, ())),
                )
            total = total.plus(found)
        return total

    def forget(self, findings: Findings) -> Report:
        """Take a person out; what is not yet possible is counted in the report.

        Raises:
            StoreUnavailable: The database cannot be written; what was done stands.
        """
        store, mails = self._store, findings.person.every_email
        with store.write() as tx:
            unmatched = store.forgetting.reports_on(tx, (), mails)
            total = Report(reports=store.forgetting.remove_reports(tx, unmatched))
            store.forgetting.unsearch(tx, findings.person.names)
        for batch in _batches(findings.event_ids):
            with store.read() as tx:
                foreseen = self._work(tx, batch, findings.person, keep=False)
                keys = store.keys_forgotten.held_by(tx, foreseen.own_ids)
            with store.write() as tx:
                work = self._work(tx, batch, findings.person, keep=True)
                keys = [one for one in keys if one.delivery_id in work.own_ids]
                store.keys_forgotten.keep_hashes(tx, keys)
                store.forgetting.empty(tx, work.own)
                done = replace(
                    work.report,
                    payloads=store.forgetting.blank_payloads(tx, work.payloads_of),
                    webhooks=store.forgetting.blank_events(tx, work.event_ids),
                    keys=len(keys),
                    reports=store.forgetting.remove_reports(
                        tx, store.forgetting.reports_on(tx, work.own_ids, ())
                    ),
                )
            if work.own:
                # Receivers look for hashes once they have noticed that there are any;
                # and whoever was noting words just now has done it.
                self._rest(2 * store.keys_forgotten.NOTICED_WITHIN)
                with store.write() as tx:
                    store.keys_forgotten.drop(tx, keys)
                    store.forgetting.unlist(tx, work.own_ids)
            total = total.plus(done)
        store.empty_log()
        return total

    def _work(
        self, tx: Tx, batch: Sequence[str], person: Person, *, keep: bool
    ) -> "_Work":
        """Decide what of some events can be taken out now."""
        shares: dict[str, list[Share]] = {one: [] for one in batch}
        for share in self._store.forgetting.shares(tx, batch, person.owns, keep=keep):
            shares[share.event_id].append(share)
        sent = {
            event_id
            for event_id, several in shares.items()
            if any(one.is_being_sent for one in several)
        }
        needed = {
            event_id
            for event_id, several in shares.items()
            if any(one.waits and not one.is_own for one in several)
        } - sent
        own = [
            one
            for event_id, several in shares.items()
            for one in several
            if one.is_own and event_id not in sent
        ]
        free = [one for one in batch if one not in sent | needed]
        return _Work(
            event_ids=free,
            own=own,
            payloads_of=[
                *(one.id for one in own if one.event_id in needed),
                *(one.id for event_id in free for one in shares[event_id]),
            ],
            report=Report(
                deliveries=len(own),
                waiting=sum(one.waits for one in own),
                being_sent=len(sent),
                needed=len(needed),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What of some events can be taken out now."""

    #: To be blanked.
    event_ids: list[str]
    #: The person's own deliveries.
    own: list[Share]
    #: Deliveries whose payloads go: also others' that name the person.
    payloads_of: list[str]
    report: Report

    @property
    def own_ids(self) -> list[str]:
        """Name the person's own deliveries."""
        return [one.id for one in self.own]


def _batches(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
