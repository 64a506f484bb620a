"""Reports taken, kept and applied, those that come together in one transaction."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from bridge.config import Config
from bridge.confirm.finding import Finder, Found
from bridge.confirm.telling import Told, tell
from bridge.confirm.weighing import is_proof, reason_of, step, to_mend
from bridge.iterable import named_event, read_report
from bridge.model import Became, DeliveryStatus, Match, Report
from bridge.retry import PROBE_EVERY
from bridge.store import Standing, Store, Ticket, Tx, gate_of


class Confirm:
    """Takes system webhooks whose sender is proven.

    Args:
        config: For the routes.
        store: Where deliveries and reports are.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._config = config
        self._reports = store.reports
        self._gates = store.gates
        self._finder = Finder(config, store.reports, store.sendings)
        self._group = store.group(self._write)

    def receive(self, body: bytes, timeout: float) -> Told:
        """Keep what a webhook says, and what follows from it, before this returns.

        Args:
            body: As received, whatever it is.
            timeout: Seconds until it counts as not stored.

        Raises:
            StoreUnavailable: Nothing was kept.
        """
        return self.begin(body, timeout)()

    def begin(self, body: bytes, timeout: float) -> Callable[[], Told]:
        """Read a webhook and queue it, so that several share a transaction.

        Returns:
            To be called: does what `receive` does.
        """
        report = read_report(body)
        if report is not None:
            return partial(self._finish, self._group.enlist(report, timeout))
        ignored = Told(became=Became.IGNORED, event_name=named_event(body))
        return partial(_telling, ignored)

    def _finish(self, ticket: Ticket[Report, Told]) -> Told:
        return _telling(ticket.wait())

    def _write(self, tx: Tx, reports: Sequence[Report]) -> list[Told]:
        return [self._take(tx, report) for report in reports]

    def _take(self, tx: Tx, report: Report) -> Told:
        found = self._finder.find(tx, report)
        told = Told(
            became=Became.UNMATCHED,
            event_name=report.event_name,
            campaign_id=report.campaign_id,
        )
        if not self._reports.keep(tx, report, *(found or (None, None))):
            return replace(told, became=Became.REPEATED)
        if found is None:
            return told
        told = self._apply(tx, report, found, told)
        if report.message_id is not None:
            earlier = tuple(self._take_earlier(tx, report.message_id, found[0]))
            told = replace(told, earlier=earlier)
        return told

    def _take_earlier(
        self, tx: Tx, message_id: str, delivery_id: str
    ) -> Iterator[Told]:
        """Apply what came of the same message before anybody knew whose it is."""
        found = delivery_id, Match.MESSAGE_ID
        for report in self._reports.waiting(tx, message_id):
            self._reports.assign(tx, report.identity, *found)
            told = Told(became=Became.NOTED, event_name=report.event_name)
            yield self._apply(tx, report, found, told)

    def _apply(self, tx: Tx, report: Report, found: Found, told: Told) -> Told:
        """Move the delivery, and its route's gate, as far as the report proves."""
        delivery_id, match = found
        reason = reason_of(report)
        told = replace(
            told,
            became=Became.NOTED,
            delivery_id=delivery_id,
            match=match,
            reason=reason,
        )
        standing = self._reports.standing(tx, delivery_id)
        if standing is None:
            return told
        told = replace(told, route=standing.route)
        after = step(standing, report, match)
        if after is None or not self._reports.move(tx, standing, after, reason):
            return told
        self._reports.note(tx, report.identity, after)
        told = replace(told, became=Became(after.value))
        if after is DeliveryStatus.CONFIRMED:
            return replace(told, opened=self._open(tx, standing))
        return replace(told, closed=self._close(tx, standing, report))

    def _close(self, tx: Tx, standing: Standing, report: Report) -> str | None:
        """Close the route's gate where every message would be skipped; name it."""
        reason = to_mend(report)
        if reason is None:
            return None
        gate = self._gate(standing)
        is_new = self._gates.close(tx, gate, reason, PROBE_EVERY, awaits_proof=True)
        return gate if is_new else None

    def _open(self, tx: Tx, standing: Standing) -> str | None:
        """Open the route's gate where this is the proof it waits for; name it."""
        gate = self._gates.get(tx, self._gate(standing))
        if not is_proof(standing, gate):
            return None
        return gate.name if self._gates.open(tx, gate.name) else None

    def _gate(self, standing: Standing) -> str:
        route = self._config.route(standing.route)
        return gate_of(standing.route if route is None else route.name)


def _telling(told: Told) -> Told:
    tell(told)
    return told
