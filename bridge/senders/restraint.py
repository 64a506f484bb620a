"""Who must not send just now.

The coordinator says so every round; what an answer tells is heeded at once, by all
threads, and moves the gates with the next round.
"""

from threading import Lock

from bridge.accounting import target_of
from bridge.dispatch import Result, tells_of_outage
from bridge.model import Blame, Cause
from bridge.rendering import Payload
from bridge.retry import NARROW_AFTER
from bridge.senders.tasks import Task
from bridge.verification import Doubted

#: Stands for every route where routes are named that must not send.
ALL = ""


class Restraint:
    """What holds calls back between two rounds."""

    def __init__(self) -> None:
        #: Routes that must not send; renewed by the coordinator every round.
        self.shut: frozenset[str] = frozenset()
        #: Whom and what doubts are about; renewed likewise.
        self.doubted: Doubted = {}
        #: Sends in a row that tell of an outage.
        self._row = 0
        self._counting = Lock()

    def allows(self, task: Task) -> bool:
        """Tell whether no gate is shut before a task."""
        shut = self.shut
        is_shut = bool(shut) and (ALL in shut or task.claim.route in shut)
        return task.probes is not None or not is_shut

    def doubts(self, payload: Payload) -> bool:
        """Tell whether somebody may have been sent the like of this already."""
        if not self.doubted:
            return False
        target = target_of(payload.body)
        if target is None:
            return False
        campaigns = self.doubted.get(target.person.name, frozenset())
        return target.campaign_id in campaigns or None in campaigns

    def note(self, result: Result, payload: Payload) -> None:
        """Let no neighbour start whom a result concerns."""
        self._note_outage(result)
        self._note_doubt(result, payload)
        if result.pause is not None or result.closes is Blame.DESTINATION:
            self.shut |= {ALL}
        elif result.closes is Blame.ROUTE:
            self.shut |= {result.claim.route}

    def _note_outage(self, result: Result) -> None:
        if not tells_of_outage(result):
            if self._row:
                self._row = 0
            return
        with self._counting:
            self._row += 1
            if self._row >= NARROW_AFTER:
                self.shut |= {ALL}

    def _note_doubt(self, result: Result, payload: Payload) -> None:
        if result.settlement.cause is not Cause.OUTCOME_UNKNOWN:
            return
        with self._counting:
            target = target_of(payload.body)
            if target is not None:
                name = target.person.name
                known = self.doubted.get(name, frozenset())
                about = frozenset({target.campaign_id})
                self.doubted = {**self.doubted, name: known | about}
