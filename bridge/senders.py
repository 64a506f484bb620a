"""The threads that make attempts, each at its slot and never past its lease."""

import time
from dataclasses import dataclass, replace
from datetime import timedelta
from queue import Empty, SimpleQueue
from threading import Event, Thread

from bridge import log as logs
from bridge.dispatch import Dispatch, Result, abandoned, failed, unsent
from bridge.gatekeeper import Probe, Probed
from bridge.model import Blame, Claim
from bridge.rendering import Payload

log = logs.get(__name__)

#: Wait before a delivery over which the program stumbled is tried again.
AFTER_BUG = timedelta(minutes=1)
#: How late a call may start, in seconds; grows where lateness is the rule.
LATE = 0.05
LATEST = 1.0
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


class Senders:
    """A fixed number of threads; tasks in, results out, nothing shared besides.

    Args:
        dispatch: Makes the attempts.
        threads: How many calls may be open at once.
        stop: Set when no further call may start.
    """

    def __init__(self, dispatch: Dispatch, threads: int, stop: Event) -> None:
        self._dispatch = dispatch
        self._stop = stop
        self._tasks: SimpleQueue[Task | Probe] = SimpleQueue()
        self._results: SimpleQueue[Result | Probed] = SimpleQueue()
        #: Payloads of open calls by delivery id, for those to be abandoned.
        self._open: dict[str, bytes] = {}
        #: How late is too late just now, and since when.
        self._late = (LATE, 0.0)
        #: Routes that must not send; renewed by the coordinator every round.
        self.shut: frozenset[str] = frozenset()
        for number in range(threads):
            Thread(target=self._serve, name=f"sender-{number}", daemon=True).start()

    def submit(self, task: Task | Probe) -> None:
        """Queue a claim or a probe behind those that are there."""
        self._tasks.put(task)

    def results(self, timeout: float) -> list[Result | Probed]:
        """Take what has come back, waiting up to `timeout` seconds for the first."""
        taken: list[Result | Probed] = []
        try:
            taken.append(self._results.get(timeout=timeout))
            while True:
                taken.append(self._results.get_nowait())
        except Empty:
            return taken

    def abandon(self, claim: Claim) -> Result:
        """Settle a claim whose thread will not come back in time."""
        payload = self._open.get(claim.delivery_id)
        if payload is None:
            return unsent(claim)
        reason = "the bridge stopped while the call was open"
        return abandoned(claim, payload=payload, reason=reason)

    def _serve(self) -> None:
        while True:
            task = self._tasks.get()
            # The one place that catches everything: a bug costs one delivery's
            # time, not the queue.
            try:
                result = self._do(task)
            except Exception as error:
                if isinstance(task, Probe):
                    log.exception("probe.failed", gate=task.gate)
                    continue
                log.exception("delivery.failed", delivery_id=task.claim.delivery_id)
                result = self._stumbled(task.claim, error)
            if isinstance(task, Task) and isinstance(result, Result) and task.probes:
                result = replace(result, probes=task.probes)
            self._results.put(result)

    def _do(self, task: Task | Probe) -> Result | Probed:
        if isinstance(task, Probe):
            return Probed(
                gate=task.gate, outcome=self._dispatch.probe(task.campaign_id)
            )
        payload = self._dispatch.prepare(task.claim)
        if isinstance(payload, Result):
            return payload
        if not self._may_start(task):
            return unsent(task.claim)
        return self._send(task, payload)

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
        delivery_id = task.claim.delivery_id
        self._open[delivery_id] = payload.body
        result = self._dispatch.send(task.claim, payload)
        # Tell the neighbours now; the gate itself moves with the next round.
        if result.pause is not None or result.closes is Blame.DESTINATION:
            self.shut |= {ALL}
        elif result.closes is Blame.ROUTE:
            self.shut |= {task.claim.route}
        del self._open[delivery_id]
        return result

    def _stumbled(self, claim: Claim, error: Exception) -> Result:
        payload = self._open.pop(claim.delivery_id, None)
        if payload is None:
            return failed(claim, error, delay=AFTER_BUG)
        reason = f"the bridge failed while sending it: {type(error).__name__}"
        return abandoned(claim, payload=payload, reason=reason)
