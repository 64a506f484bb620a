"""A fixed number of threads: tasks in, results out."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import TypeVar

from bridge import log as logs
from bridge.dispatch import Dispatch, Result, abandoned, failed, unsent
from bridge.gatekeeper import Probe, Probed
from bridge.model import Claim
from bridge.rendering import Payload
from bridge.senders.lateness import Lateness
from bridge.senders.restraint import Restraint
from bridge.senders.returns import Returns
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


class Senders:
    """A fixed number of threads; tasks in, results out, nothing shared besides.

    Args:
        dispatch: Makes the attempts.
        threads: How many calls may be open at once.
        stop: Set when no further call may start.
        verifier: Makes the checks.
    """

    def __init__(
        self, dispatch: Dispatch, threads: int, stop: Event, verifier: Verifier
    ) -> None:
        self._dispatch = dispatch
        self._verifier = verifier
        self._stop = stop
        self._tasks: SimpleQueue[Task | Probe | Check] = SimpleQueue()
        self._results = Returns()
        #: Held while a payload is made: the threads would only fight for the
        #: interpreter, and each hand-over costs as much as a part of the work.
        self._turn = Lock()
        #: Payloads of open calls by delivery id, for those to be abandoned.
        self._open: dict[str, bytes] = {}
        self._lateness = Lateness()
        #: Who must not send just now; renewed by the coordinator every round.
        self.restraint = Restraint()
        self._threads = [
            Thread(target=self._serve, name=f"sender-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def are_alive(self) -> bool:
        """Whether every thread still works."""
        return all(thread.is_alive() for thread in self._threads)

    def submit(self, task: Task | Probe | Check) -> None:
        """Queue a claim, a probe or a check behind those that are there."""
        self._tasks.put(task)

    def results(
        self, timeout: float, least: int = 1
    ) -> list[Result | Probed | Checked]:
        """Take what has come back.

        Args:
            timeout: Seconds to wait.
            least: How many end the waiting.
        """
        return self._results.take(timeout, least)

    def abandon(self, claim: Claim) -> Result:
        """Settle a claim whose thread will not come back in time."""
        payload = self._open.get(claim.delivery_id)
        if payload is None:
            return unsent(claim)
        reason = "the bridge stopped while the call was open"
        return abandoned(claim, payload=payload, reason=reason)

    def _serve(self) -> None:
        while True:
            with self._turn:
                task = self._tasks.get()
                ready = self._guarded(task, partial(self._prepare, task))
            if isinstance(task, Probe):
                result = self._guarded(task, partial(self._ask, task))
            elif isinstance(task, Check):
                result = self._guarded(task, partial(self._check, task))
            elif isinstance(ready, Payload):
                result = self._guarded(task, partial(self._send, task, ready))
            else:
                result = ready
            if isinstance(result, Result) and isinstance(task, Task) and task.probes:
                result = replace(result, probes=task.probes)
            if result is not None:
                self._results.put(result)

    def _guarded(
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

    def _prepare(self, task: Task | Probe | Check) -> Payload | Result | None:
        if not isinstance(task, Task):
            return None
        payload = self._dispatch.prepare(task.claim)
        if isinstance(payload, Payload) and self.restraint.doubts(payload):
            reason = "waits: another message to this person is in doubt"
            return unsent(task.claim, delay=NEIGHBOUR, reason=reason)
        return payload

    def _check(self, check: Check) -> Checked:
        if self._stop.wait(max(0.0, check.slot - time.monotonic())):
            return Checked(doubt=check.doubt)
        return self._verifier.check(check.doubt)

    def _ask(self, probe: Probe) -> Probed:
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

    def _send(self, task: Task, payload: Payload) -> Result:
        if not self._may_start(task):
            return unsent(task.claim)
        delivery_id = task.claim.delivery_id
        self._open[delivery_id] = payload.body
        result = self._dispatch.send(task.claim, payload)
        self.restraint.note(result, payload)
        del self._open[delivery_id]
        return result

    def _stumbled(self, claim: Claim, error: Exception) -> Result:
        payload = self._open.pop(claim.delivery_id, None)
        if payload is None:
            return failed(claim, error, delay=AFTER_BUG)
        reason = f"the bridge failed while sending it: {type(error).__name__}"
        return abandoned(claim, payload=payload, reason=reason)
