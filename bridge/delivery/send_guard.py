"""The send guard: which sends must not start just now, kept in memory.

The scheduler renews it every tick from the store. What an answer says is heeded at
once, and reaches the store with the next tick.
"""

from collections.abc import Mapping

from bridge.delivery.outage_breaker import LIMIT
from bridge.delivery.tasks import SendResult, SendTask
from bridge.integrations import SendTarget
from bridge.model import FailureScope, Trigger, destination_circuit

#: Campaigns with messages in doubt, by destination and the person's name; None means
#: for all campaigns.
InDoubtTargets = Mapping[tuple[str, str], frozenset[int | None]]


class SendGuard:
    """In-memory copy of stopped circuit breakers and recipients in doubt."""

    def __init__(self) -> None:
        #: Circuit breakers that ordinary deliveries must not pass.
        self.blocked: frozenset[str] = frozenset()
        self.in_doubt: InDoubtTargets = {}
        #: Noted since results were last taken to be settled.
        self._noted: frozenset[str] = frozenset()
        self._noted_doubts: list[tuple[tuple[str, str], int]] = []
        #: By destination: sends in a row that speak of an outage.
        self._rows: dict[str, int] = {}

    def allows(self, task: SendTask) -> bool:
        """Tell whether no circuit breaker stops a task."""
        return task.trial_of is not None or self.blocked.isdisjoint(task.circuits)

    def is_in_doubt(self, destination: str, target: SendTarget) -> bool:
        """Tell whether a message like this may already have been sent."""
        known = self.in_doubt.get((destination, target.person.name), frozenset())
        return target.campaign_id in known or None in known

    def taken(self) -> None:
        """Take note that all results so far are about to be settled."""
        self._noted, self._noted_doubts = frozenset(), []

    def renew(self, blocked: frozenset[str], in_doubt: InDoubtTargets) -> None:
        """Take over what the store says, and keep what it cannot know yet."""
        self.blocked, self.in_doubt = blocked | self._noted, in_doubt
        for key, campaign_id in self._noted_doubts:
            self._add_doubt(key, campaign_id)

    def note(
        self, task: SendTask, result: SendResult, target: SendTarget | None
    ) -> None:
        """Stop what a result concerns; `target` is what was sent, where known."""
        destination = task.claim.destination
        circuit = destination_circuit(destination)
        stops = result.pause is not None or result.opens is FailureScope.DESTINATION
        if result.is_outage_signal:
            row = self._rows[destination] = self._rows.get(destination, 0) + 1
            stops = stops or row >= LIMIT
        else:
            self._rows.pop(destination, None)
        if stops:
            self._block(frozenset((circuit,)))
        if result.opens is FailureScope.ROUTE:
            self._block(task.circuits - {circuit})
        if result.result.trigger is Trigger.OUTCOME_UNKNOWN and target is not None:
            key = destination, target.person.name
            self._noted_doubts.append((key, target.campaign_id))
            self._add_doubt(key, target.campaign_id)

    def _block(self, circuits: frozenset[str]) -> None:
        self.blocked |= circuits
        self._noted |= circuits

    def _add_doubt(self, key: tuple[str, str], campaign_id: int) -> None:
        known = self.in_doubt.get(key, frozenset())
        self.in_doubt = {**self.in_doubt, key: known | {campaign_id}}
