"""The sender pool: tasks in, results out, a fixed number of greenlets per destination.

Each destination has its own greenlets, so a slow one holds up no other. A sender waits
for the task's slot, asks the send guard and makes the call; results gather until the
scheduler takes several at once. A destination limited by concurrency instead of a rate
would get as many senders as it allows.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from threading import Event
from typing import TypeAlias, TypeVar

import gevent
from gevent.event import Event as Signal
from gevent.pool import Group
from gevent.queue import SimpleQueue

from bridge import logging as logs
from bridge.config import Route
from bridge.delivery.attempt import (
    Attempts,
    SharedEvent,
    abandoned,
    failed,
    unsent,
)
from bridge.delivery.send_guard import SendGuard
from bridge.delivery.tasks import (
    Check,
    CheckResult,
    Probe,
    ProbeResult,
    SendResult,
    SendTask,
)
from bridge.delivery.verification import Verifier
from bridge.integrations import Destination
from bridge.model import Claim, Trigger
from bridge.rendering import Payload

log = logs.get(__name__)

#: Wait before a delivery or a check on which the program itself failed is tried again.
AFTER_BUG = timedelta(minutes=1)
#: Before a delivery is looked at again whose recipient has a message in doubt.
NEIGHBOUR_WAIT = timedelta(seconds=1)

#: What comes back.
Result: TypeAlias = SendResult | ProbeResult | CheckResult
_Result = TypeVar("_Result", bound=Result)
_Tasks: TypeAlias = "SimpleQueue[tuple[SendTask, SharedEvent]]"


class SenderPool:
    """Makes attempts, probes and checks; its greenlets start with it.

    Args:
        attempts: Prepares and sends.
        verifier: Makes the checks.
        destinations: By name.
        routes: By name.
        concurrency: How many sends to one destination may be open.
        stop: Set when no further call may start.
    """

    def __init__(
        self,
        attempts: Attempts,
        verifier: Verifier,
        *,
        destinations: Mapping[str, Destination],
        routes: Mapping[str, Route],
        concurrency: int,
        stop: Event,
    ) -> None:
        self._attempts = attempts
        self._verifier = verifier
        self._destinations = destinations
        self._routes = routes
        self._stop = stop
        self.guard = SendGuard()
        #: Payloads of calls, by token and id, from before they start until their result
        #: is handed in: whatever is missing here was not sent, or is among the results.
        self._open: dict[tuple[str, str], bytes] = {}
        self._results: list[Result] = []
        self._least = 1
        self._is_enough = Signal()
        #: False once a greenlet has died of something that is no ordinary error.
        self.is_alive = True
        self._senders = Group()
        self._tasks: dict[str, _Tasks] = {name: SimpleQueue() for name in destinations}
        for tasks in self._tasks.values():
            for _ in range(concurrency):
                self._senders.spawn(self._serve, tasks).link_exception(self._break)

    def send(self, tasks: Iterable[SendTask]) -> None:
        """Queue claims behind those that are there."""
        for task in tasks:
            event = self._attempts.share(task.claim)
            self._tasks[task.claim.destination].put((task, event))

    def probe(self, probes: Iterable[Probe]) -> None:
        """Make probes, each at once."""
        for probe in probes:
            self._senders.spawn(self._probe, probe)

    def check(self, checks: Iterable[Check]) -> None:
        """Make checks, each at its slot."""
        for check in checks:
            self._senders.spawn(self._check, check)

    def take(self, timeout: float, least: int = 1) -> list[Result]:
        """Take what has come back.

        Args:
            timeout: Longest wait in seconds; other greenlets run at least once.
            least: How many results end the wait.
        """
        self._least = least
        self._is_enough.clear()
        if len(self._results) < least:
            self._is_enough.wait(timeout)
        taken, self._results = self._results, []
        self.guard.taken()
        return taken

    def close(self) -> None:
        """End the greenlets, and what they are doing."""
        self._senders.kill(block=False)

    def abandon(self, claim: Claim) -> SendResult:
        """Settle a claim whose call will not end in time."""
        payload = self._open.get(_key(claim))
        if payload is None:
            return unsent(claim)
        reason = "the bridge stopped while the call was open"
        return abandoned(claim, payload=payload, reason=reason)

    def _serve(self, tasks: "_Tasks") -> None:
        while True:
            task, event = tasks.get()
            result = self._guarded(
                partial(self._deliver, task, event),
                partial(self._fail, task.claim),
                delivery_id=task.claim.delivery_id,
            )
            if result is not None and task.trial_of is not None:
                result = replace(result, trial_of=task.trial_of)
            self._put(result)
            self._open.pop(_key(task.claim), None)
            # Not kept until the next task: an event may be large.
            del task, event, result

    def _deliver(self, task: SendTask, event: SharedEvent) -> SendResult:
        """Prepare, wait for the slot, ask the guard, and send."""
        claim = task.claim
        payload = self._attempts.prepare(claim, event)
        if not isinstance(payload, Payload):
            return payload
        wait = task.slot - time.monotonic()
        if wait > 0:
            gevent.sleep(wait)
        is_late = time.monotonic() > task.latest
        if self._stop.is_set() or is_late or not self.guard.allows(task):
            return unsent(claim)
        verification = self._destinations[claim.destination].verification
        if self.guard.in_doubt and verification is not None:
            target = verification.target_of(payload.body)
            if target and self.guard.is_in_doubt(claim.destination, target):
                reason = "waits: another message to this person is in doubt"
                return unsent(claim, delay=NEIGHBOUR_WAIT, reason=reason)
        self._open[_key(claim)] = payload.body
        result = self._attempts.send(claim, payload)
        target = None
        if result.result.trigger is Trigger.OUTCOME_UNKNOWN and verification:
            target = verification.target_of(payload.body)
        self.guard.note(task, result, target)
        return result

    def _fail(self, claim: Claim, error: Exception) -> SendResult:
        payload = self._open.get(_key(claim))
        if payload is None:
            return failed(claim, error, delay=AFTER_BUG)
        reason = f"the bridge failed while sending it: {type(error).__name__}"
        return abandoned(claim, payload=payload, reason=reason)

    def _probe(self, probe: Probe) -> None:
        route = None if probe.route is None else self._routes[probe.route]
        destination = self._destinations[probe.destination]

        def ask() -> ProbeResult | None:
            outcome = destination.probe(route)
            return ProbeResult(circuit=probe.circuit, outcome=outcome)

        self._put(self._guarded(ask, lambda _: None, circuit=probe.circuit))

    def _check(self, check: Check) -> None:
        delivery = check.delivery

        def ask() -> CheckResult:
            gevent.sleep(max(0.0, check.slot - time.monotonic()))
            if self._stop.is_set():
                return CheckResult(delivery=delivery)
            return self._verifier.check(delivery)

        def fail(_: Exception) -> CheckResult:
            return CheckResult(delivery=delivery, delay=AFTER_BUG)

        self._put(self._guarded(ask, fail, delivery_id=delivery.delivery_id))

    def _guarded(
        self,
        step: Callable[[], _Result | None],
        fail: Callable[[Exception], _Result | None],
        **fields: str,
    ) -> _Result | None:
        """Take a step; a bug costs one delivery's time, not the queue."""
        try:
            return step()
        except Exception as error:
            log.exception("delivery.failed", **fields)
            return fail(error)

    def _put(self, result: Result | None) -> None:
        if result is None:
            return
        self._results.append(result)
        if len(self._results) >= self._least:
            self._is_enough.set()

    def _break(self, _: object) -> None:
        self.is_alive = False


def _key(claim: Claim) -> tuple[str, str]:
    return claim.token, claim.delivery_id
