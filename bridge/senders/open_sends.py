"""The sends whose answers one thread awaits for all."""

import os
import select
import time
from typing import NamedTuple

from bridge.dispatch import Sending
from bridge.senders.tasks import Task


class OpenSend(NamedTuple):
    """A send that is begun, and the task it is for."""

    task: Task
    sending: Sending
    #: What its answer comes through.
    descriptor: int


class OpenSends:
    """What is begun and not ended; for one thread at a time, but for `wake`."""

    def __init__(self) -> None:
        self._sends: dict[int, OpenSend] = {}
        self._poll = select.poll()
        self._ear, self._mouth = os.pipe()
        self._poll.register(self._ear, select.POLLIN)
        self._is_woken = False

    def __len__(self) -> int:
        return len(self._sends)

    def add(self, task: Task, sending: Sending) -> None:
        """Wait for one more."""
        descriptor = sending.call.fileno()
        self._sends[descriptor] = OpenSend(task, sending, descriptor)
        self._poll.register(descriptor, select.POLLIN)

    def remove(self, one: OpenSend) -> None:
        """Wait no longer for one that was added."""
        self._poll.unregister(one.descriptor)
        del self._sends[one.descriptor]

    def wait(self) -> list[OpenSend]:
        """Wait until there is something to look at, or somebody calls `wake`.

        Returns:
            The sends of which something has come, or whose time is over.
        """
        ready = {descriptor for descriptor, _ in self._poll.poll(self._patience())}
        if self._ear in ready:
            ready.remove(self._ear)
            # Woken again after this, somebody finds what we look at afterwards.
            os.read(self._ear, 1)
            self._is_woken = False
        now = time.monotonic()
        for descriptor, one in self._sends.items():
            if one.sending.call.deadline > now:
                break
            ready.add(descriptor)
        return [self._sends[descriptor] for descriptor in ready]

    def wake(self) -> None:
        """End the waiting, now or the next time."""
        if not self._is_woken:
            self._is_woken = True
            os.write(self._mouth, b".")

    def _patience(self) -> float | None:
        """Return how long to wait, in milliseconds; None for as long as it takes."""
        if not self._sends:
            return None
        # All have the same time, so it is over for the oldest first.
        oldest = next(iter(self._sends.values()))
        return max(0.0, oldest.sending.call.deadline - time.monotonic()) * 1000 + 1
