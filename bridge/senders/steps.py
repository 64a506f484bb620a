"""What is done for one task, whichever thread does it."""

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from typing import TypeAlias, TypeVar

from bridge import log as logs
from bridge.dispatch import Dispatch, Result, Sending, abandoned, failed, unsent
from bridge.gatekeeper import Probe, Probed
from bridge.model import Claim
from bridge.rendering import Payload
from bridge.senders.lateness import Lateness
from bridge.senders.restraint import Restraint
from bridge.senders.tasks import Task
from bridge.verification import Check, Checked, Verifier

T = TypeVar("T")

log = logs.get(__name__)

#: Wait before a delivery over which the program stumbled is tried again.
AFTER_BUG = timedelta(minutes=1)
#: Before a delivery is looked at again that waits for a doubt about another.
NEIGHBOUR = timedelta(seconds=1)
#: Wait before a check is made again over which the program stumbled.
AFTER_CHECK = timedelta(minutes=1)


#: A claim: the delivery, and the token that nobody else has it by.
_Key: TypeAlias = tuple[str, str]


class Steps:
    """The steps from a task to its result.

    Args:
        dispatch: Makes the attempts.
        verifier: Makes the checks.
        stop: Set when no further call may start.
    """

    def __init__(self, dispatch: Dispatch, verifier: Verifier, stop: Event) -> None:
        self._dispatch = dispatch
        self._verifier = verifier
        self._stop = stop
        #: Payloads of calls, from before they start until their result is handed in:
        #: whatever is missing here was not sent, or is among the results.
        self._open: dict[_Key, bytes] = {}
        self._lateness = Lateness()
        #: Who must not send just now.
        self.restraint = Restraint()

    def abandon(self, claim: Claim) -> Result:
        """Settle a claim whose thread will not come back in time."""
        payload = self._open.get(_key(claim))
        if payload is None:
            return unsent(claim)
        reason = "the bridge stopped while the call was open"
        return abandoned(claim, payload=payload, reason=reason)

    def guarded(
        self, task: Task | Probe | Check, step: Callable[[], T]
    ) -> T | Result | Checked | None:
        """Take a step; a bug costs one delivery's time, not the queue."""
        try:
            return step()
        # The one place that catches everything.
        except Exception as error:
            if isinstance(task, Probe):
                log.exception("probe.failed", gate=task.gate)
                return None
            if isinstance(task, Check):
                log.exception("check.failed", delivery_id=task.doubt.delivery_id)
                return Checked(doubt=task.doubt, delay=AFTER_CHECK)
            log.exception("delivery.failed", delivery_id=task.claim.delivery_id)
            return self._stumbled(task.claim, error)

    def prepare(self, task: Task) -> Payload | Result:
        """Make the payload, unless the delivery has to wait or cannot be sent."""
        payload = self._dispatch.prepare(task.claim)
        if isinstance(payload, Payload) and self.restraint.doubts(payload):
            reason = "waits: another message to this person is in doubt"
            return unsent(task.claim, delay=NEIGHBOUR, reason=reason)
        return payload

    def check(self, check: Check) -> Checked:
        """Look into a doubt, at its slot."""
        if self._stop.wait(max(0.0, check.slot - time.monotonic())):
            return Checked(doubt=check.doubt)
        return self._verifier.check(check.doubt)

    def ask(self, probe: Probe) -> Probed:
        """Ask whether a closed gate may open."""
        outcome = self._dispatch.probe(probe.campaign_id)
        return Probed(gate=probe.gate, outcome=outcome)

    def _may_start(self, task: Task) -> bool:
        wait = task.slot - time.monotonic()
        if wait > 0:
            self._stop.wait(wait)
        now = time.monotonic()
        if self._stop.is_set() or now > task.latest:
            return False
        if task.is_punctual and self._lateness.is_late(task.slot, now):
            return False
        return self.restraint.allows(task)

    def send(self, task: Task, payload: Payload) -> Result:
        """Wait for the slot, send, and wait for the answer."""
        if not self._may_start(task):
            return unsent(task.claim)
        self._open[_key(task.claim)] = payload.body
        return self._noted(self._dispatch.send(task.claim, payload), payload)

    def start(self, task: Task, payload: Payload) -> Sending | Result | None:
        """Begin to send at a slot that has come; None where that may have to wait."""
        if not self._may_start(task):
            return unsent(task.claim)
        self._open[_key(task.claim)] = payload.body
        sending = self._dispatch.begin(task.claim, payload)
        if sending is None:
            self.forget(task.claim)
        return sending

    def finish(self, sending: Sending) -> Result:
        """Wait for the answer to what was begun."""
        return self._noted(self._dispatch.finish(sending), sending.payload)

    def _noted(self, result: Result, payload: Payload) -> Result:
        self.restraint.note(result, payload)
        return result

    def forget(self, claim: Claim) -> None:
        """Take in that the result of a claim is handed in, or that it was not sent."""
        self._open.pop(_key(claim), None)

    def _stumbled(self, claim: Claim, error: Exception) -> Result:
        payload = self._open.get(_key(claim))
        if payload is None:
            return failed(claim, error, delay=AFTER_BUG)
        reason = f"the bridge failed while sending it: {type(error).__name__}"
        return abandoned(claim, payload=payload, reason=reason)


def _key(claim: Claim) -> _Key:
    return claim.delivery_id, claim.token
