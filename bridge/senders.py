"""The threads that make attempts, each at its slot and never past its lease."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from queue import SimpleQueue
from threading import Condition, Event, Lock, Thread
from typing import TypeVar

from bridge import log as logs
from bridge.accounting import target_of
from bridge.dispatch import Dispatch, Result, abandoned, failed, unsent
from bridge.gatekeeper import Probe, Probed
from bridge.model import Blame, Cause, Claim
from bridge.rendering import Payload
from bridge.retry import NARROW_AFTER
from bridge.verification import Check, Checked, Doubted, Verifier

T = TypeVar("T")

log = logs.get(__name__)

#: Wait before a delivery over which the program stumbled is tried again.
AFTER_BUG = timedelta(minutes=1)
#: How late a call may start, in seconds; grows where lateness is the rule.
LATE = 0.05
LATEST = 1.0
#: Before a delivery is looked at again that waits for a doubt about another.
NEIGHBOUR = timedelta(seconds=1)
#: Wait before a check is made again over which the program stumbled.
AFTER_CHECK = timedelta(minutes=1)
#: Stands for every route where routes are named that must not send.
ALL = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A claim with its place in time, both on the monotonic clock in seconds."""

    claim: Claim
    slot: float
    #: Last moment at which a call may start and still end under the lease.
    latest: float
    #: True where being late would crowd the slots after it.
    is_punctual: bool = False
    #: The closed gate this one may pass.
    probes: str | None = None


class _Returns:
    """What the threads hand in and one takes out, several at a time.

    Waking somebody costs about as much as settling a delivery: not for each of them.
    """

    def __init__(self) -> None:
        self._results: list[Result | Probed | Checked] = []
        self._least = 1
        self._changed = Condition(Lock())

    def put(self, result: Result | Probed | Checked) -> None:
        with self._changed:
            self._results.append(result)
            if len(self._results) >= self._least:
                self._changed.notify()

    def take(self, timeout: float, least: int) -> list[Result | Probed | Checked]:
        with self._changed:
            self._least = least
            self._changed.wait_for(lambda: len(self._results) >= least, timeout)
            taken, self._results = self._results, []
        return taken


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
        self._results = _Returns()
        #: Held while a payload is made: the threads would only fight for the
        #: interpreter, and each hand-over costs as much as a part of the work.
        self._turn = Lock()
        #: Payloads of open calls by delivery id, for those to be abandoned.
        self._open: dict[str, bytes] = {}
        #: How late is too late just now, and since when.
        self._late = (LATE, 0.0)
        #: Routes that must not send; renewed by the coordinator every round.
        self.shut: frozenset[str] = frozenset()
        #: Whom and what doubts are about; renewed likewise.
        self.doubted: Doubted = {}
        #: Unknown outcomes in a row.
        self._unknown = 0
        self._counting = Lock()
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
        if self.doubted and isinstance(payload, Payload) and self._is_doubted(payload):
            reason = "waits: another message to this person is in doubt"
            return unsent(task.claim, delay=NEIGHBOUR, reason=reason)
        return payload

    def _is_doubted(self, payload: Payload) -> bool:
        """Tell whether somebody may have been sent the like of this already."""
        target = target_of(payload.body)
        if target is None:
            return False
        campaigns = self.doubted.get(target.person.name, frozenset())
        return target.campaign_id in campaigns or None in campaigns

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
        if task.is_punctual and self._is_late(task, now):
            return False
        shut = self.shut
        return task.probes is not None or not (
            shut and (ALL in shut or task.claim.route in shut)
        )

    def _is_late(self, task: Task, now: float) -> bool:
        """Tell whether a task has missed its slot, and must ask for another.

        After a stall of this machine many have: at once they would break the rate. A
        machine that is always late gets more and more time, or it would never send.
        """
        allowed, since = self._late
        is_late = now > task.slot + allowed
        if not is_late:
            self._late = (LATE, since)
        elif now > since + LATEST:
            self._late = (min(2 * allowed, LATEST), now)
        return is_late

    def _send(self, task: Task, payload: Payload) -> Result:
        if not self._may_start(task):
            return unsent(task.claim)
        delivery_id = task.claim.delivery_id
        self._open[delivery_id] = payload.body
        result = self._dispatch.send(task.claim, payload)
        # Tell the neighbours now; the gate itself moves with the next round.
        self._note(result, payload)
        if result.pause is not None or result.closes is Blame.DESTINATION:
            self.shut |= {ALL}
        elif result.closes is Blame.ROUTE:
            self.shut |= {task.claim.route}
        del self._open[delivery_id]
        return result

    def _note(self, result: Result, payload: Payload) -> None:
        """Let no neighbour start that a doubt concerns, nor anybody in an outage."""
        if result.settlement.cause is not Cause.OUTCOME_UNKNOWN:
            if self._unknown:
                self._unknown = 0
            return
        with self._counting:
            self._unknown += 1
            if self._unknown >= NARROW_AFTER:
                self.shut |= {ALL}
            target = target_of(payload.body)
            if target is not None:
                name = target.person.name
                known = self.doubted.get(name, frozenset())
                about = frozenset({target.campaign_id})
                self.doubted = {**self.doubted, name: known | about}

    def _stumbled(self, claim: Claim, error: Exception) -> Result:
        payload = self._open.pop(claim.delivery_id, None)
        if payload is None:
            return failed(claim, error, delay=AFTER_BUG)
        reason = f"the bridge failed while sending it: {type(error).__name__}"
        return abandoned(claim, payload=payload, reason=reason)
