"""Which delivery a report speaks of; reads the ledger and writes nothing."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from bridge.config import Config
from bridge.confirm.weighing import SKEW, nearest, of_campaign
from bridge.model import Capture, Match, Report
from bridge.store import Reports, Sending, Sendings, Tx
from bridge.voucherify import find_reward, parse, publication_key

#: How long after a send a report without an id of ours is taken to be about it.
NEAR = timedelta(hours=24)

#: A delivery's id, and by what it was found.
Found = tuple[str, Match]


class Finder:
    """Correlates: by our id, the publication's, the message's, or campaign and person.

    Args:
        config: For the routes' names.
        reports: Where deliveries are looked up.
        sendings: Where messages are.
    """

    def __init__(self, config: Config, reports: Reports, sendings: Sendings) -> None:
        self._routes = [name for route in config.routes for name in route.names]
        self._campaigns = {route.campaign_id for route in config.routes}
        self._has_raw = None in self._campaigns
        self._reports = reports
        self._sendings = sendings

    def find(self, tx: Tx, report: Report) -> Found | None:
        """Find the delivery; None where there is none, or none that is certain."""
        if report.bridge_id is not None:
            standing = self._reports.standing(tx, report.bridge_id)
            # Without one it is another bridge's, or forgotten: nobody else's anyway.
            return None if standing is None else (standing.id, Match.BRIDGE_ID)
        for match, look in (
            (Match.PUBLICATION_ID, self._by_publication),
            (Match.MESSAGE_ID, self._by_message),
            (Match.PERSON, self._by_person),
        ):
            found = look(tx, report)
            if found is not None:
                return found, match
        return None

    def _by_publication(self, tx: Tx, report: Report) -> str | None:
        if report.publication_id is None:
            return None
        beginning = publication_key(report.publication_id, "")
        ids = self._sendings.of_keys(tx, self._routes, beginning)
        if len(ids) == 1:
            return ids[0]
        return nearest(report, self._sendings.of(tx, ids), tx.now)

    def _by_message(self, tx: Tx, report: Report) -> str | None:
        if report.message_id is None:
            return None
        return self._sendings.of_message(tx, report.message_id)

    def _by_person(self, tx: Tx, report: Report) -> str | None:
        people = set(self._people(tx, report))
        if report.campaign_id is None or not people:
            return None
        since, until = _time(report, tx.now)
        found = self._sendings.to(tx, people, since, until)
        if not found and report.email is not None:
            found = self._sendings_to(tx, report, report.email)
        return nearest(report, found, tx.now)

    def _sendings_to(self, tx: Tx, report: Report, email: str) -> list[Sending]:
        """List what was sent lately to whom Voucherify knows by an address.

        A skip names the address alone, where the message named a user id.
        """
        if not self._has_raw and report.campaign_id not in self._campaigns:
            return []
        since, until = _time(report, tx.now)
        lately = [
            one
            for one in of_campaign(report, self._sendings.unproven(tx))
            if since <= one.sent_at <= until
        ]
        found = self._sendings.rewards(tx, [one.id for one in lately])
        theirs = {one for one, key, body in found if _is_for(key, body, email)}
        return [one for one in lately if one.id in theirs]

    def _people(self, tx: Tx, report: Report) -> Iterator[str]:
        if report.user_id is not None:
            yield report.user_id
        if report.email is not None:
            yield from (report.email, report.email.lower())
            # A skip names the address alone; earlier reports tell whose it is.
            yield from self._sendings.recipients(tx, report.email)


def _time(report: Report, now: datetime) -> tuple[datetime, datetime]:
    """Say from when until when a message was sent that a report may be about."""
    at = report.occurred_at or now
    return at - NEAR, at + SKEW


def _is_for(key: str, capture: Capture, email: str) -> bool:
    """Tell whether a reward is for whom Voucherify knows by an address."""
    reward = find_reward(parse(capture), key)
    theirs = None if reward is None else reward.email
    return isinstance(theirs, str) and theirs.lower() == email.lower()
