"""A fixed number of threads: tasks in, results out.

One of them leads: it begins sends over connections that are ready, and awaits the
answers to all of them. What may have to wait by itself (for a slot, a connection, an
answer in pieces, a question) it does when another has taken the lead.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import TypeAlias

from bridge.dispatch import Dispatch, Result, Sending
from bridge.gatekeeper import Probe, Probed
from bridge.http import Progress
from bridge.model import Claim
from bridge.rendering import Payload
from bridge.senders.open_sends import OpenSends
from bridge.senders.returns import Returns
from bridge.senders.steps import Steps
from bridge.senders.tasks import Task
from bridge.verification import Check, Checked, Verifier

#: Something that may have to wait, for a slot or for the other side.
Job: TypeAlias = Callable[[], None]
#: What a task comes to.
Back: TypeAlias = Result | Probed | Checked


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
        self._steps = Steps(dispatch, verifier, stop)
        self._tasks: SimpleQueue[Task | Probe | Check] = SimpleQueue()
        self._results = Returns()
        #: Held by the thread that begins sends and awaits the answers to all of them.
        #: Each waiting for its own, the threads would only fight for the interpreter,
        #: and that costs more than the work.
        self._turn = Lock()
        self._sends = OpenSends()
        self._most = threads
        #: Threads that do what may have to wait.
        self._away = 0
        self._counting = Lock()
        #: Who must not send just now; renewed by the coordinator every round.
        self.restraint = self._steps.restraint
        self._threads = [
            Thread(target=self._serve, name=f"sender-{number}", daemon=True)
            for number in range(threads + 1)
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
        self._sends.wake()

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
        return self._steps.abandon(claim)

    def _serve(self) -> None:
        while True:
            with self._turn:
                job = self._lead()
            try:
                job()
            finally:
                with self._counting:
                    self._away -= 1
                self._sends.wake()

    def _lead(self) -> Job:
        """Begin and end sends until there is something to do that may have to wait."""
        while True:
            job = self._begin_all() or self._end_all()
            if job is not None:
                with self._counting:
                    self._away += 1
                return job

    def _begin_all(self) -> Job | None:
        """Begin what there is room for; return the first that may have to wait."""
        # One more thread than calls: somebody is always free to lead.
        while len(self._sends) + self._away < self._most:
            try:
                task = self._tasks.get(block=False)
            except Empty:
                return None
            job = self._begin(task)
            if job is not None:
                return job
        return None

    def _begin(self, task: Task | Probe | Check) -> Job | None:
        if isinstance(task, Probe):
            return partial(self._do, task, partial(self._steps.ask, task))
        if isinstance(task, Check):
            return partial(self._do, task, partial(self._steps.check, task))
        ready = self._steps.guarded(task, partial(self._steps.prepare, task))
        if not isinstance(ready, Payload):
            self._hand_in(task, ready)
            return None
        if task.slot <= time.monotonic():
            begun = self._steps.guarded(task, partial(self._steps.start, task, ready))
            if isinstance(begun, Sending):
                return self._await(task, begun)
            if begun is not None:
                self._hand_in(task, begun)
                return None
        return partial(self._do, task, partial(self._steps.send, task, ready))

    def _await(self, task: Task, sending: Sending) -> Job | None:
        if not sending.call.is_written:
            return partial(self._do, task, partial(self._steps.finish, sending))
        self._sends.add(task, sending)
        return None

    def _end_all(self) -> Job | None:
        """End what is over; return the first of which only waiting can tell."""
        for one in self._sends.wait():
            progress = self._steps.guarded(one.task, one.sending.call.look)
            if progress is Progress.WAITING:
                continue
            self._sends.remove(one)
            if isinstance(progress, Result):
                self._hand_in(one.task, progress)
                continue
            finish = partial(self._steps.finish, one.sending)
            if progress is Progress.ODD:
                return partial(self._do, one.task, finish)
            self._do(one.task, finish)
        return None

    def _do(self, task: Task | Probe | Check, step: Callable[[], Back]) -> None:
        self._hand_in(task, self._steps.guarded(task, step))

    def _hand_in(self, task: Task | Probe | Check, result: Back | None) -> None:
        if isinstance(result, Result) and isinstance(task, Task) and task.probes:
            result = replace(result, probes=task.probes)
        if result is not None:
            self._results.put(result)
        if isinstance(task, Task):
            self._steps.forget(task.claim)
