"""Iterable's part in long runs, and the load: both count instead of searching."""

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from threading import Event, Lock
from typing import Any

import requests

from tests.product.program import Program, new_person, wait_for, webhook
from tests.product.recorder import Answer, Call, Iterable

SENT = "/api/users/getSentMessages"
OK = {"msg": "sent", "code": "Success", "params": None}
#: States in which a delivery still moves by itself.
MOVING = ("pending", "sending", "in_doubt")


def size(name: str, usual: int) -> int:
    """Read how large a test is: `TORTURE_WEBHOOKS`, `TORTURE_KILLS`, `TORTURE_SECONDS`.

    A short run of the same test tries it out.
    """
    return int(os.environ.get(f"TORTURE_{name}", usual))


class BusyIterable(Iterable):
    """Knows at once whom it sent what; on demand its answers are unsure.

    Attributes:
        delay: Seconds before an answer.
        hang: Seconds before an answer that comes too late; None: every answer is sure.
            One send in twenty is taken and answered too late, one is taken and answered
            500, one is not taken and answered 500.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.hang: float | None = None
        self.tries: Counter[str] = Counter()
        self._posts = count()
        self._sent: defaultdict[str, list[int]] = defaultdict(list)
        self._total = 0
        super().__init__()

    @property
    def total(self) -> int:
        """Count the messages that were sent to people."""
        return self._total

    def message_counts(self) -> Counter[str]:
        """Count the messages of each person."""
        with self._changed:
            return Counter({name: len(each) for name, each in self._sent.items()})

    def default(self, call: Call) -> Answer:
        if call.path == SENT:
            return Answer(body={"messages": self._shown_to(str(call.person))})
        if call.method == "POST":
            return self._unsure() or Answer(delay=self.delay, body=OK)
        return super().default(call)

    def _unsure(self) -> Answer | None:
        if self.hang is None:
            return None
        turn = next(self._posts) % 20
        late = Answer(delay=self.hang, body=OK, is_taken=True)
        lost = Answer(status=500, body=b"oops", is_taken=True)
        failed = Answer(status=500, body=b"oops")
        return {3: late, 9: lost, 15: failed}.get(turn)

    def _chosen(self, call: Call) -> Answer:
        answer = super()._chosen(call)
        if call.method == "POST":
            person = str(call.person)
            self.tries[person] += 1
            if answer.is_taken or (answer.status == 200 and answer.failure is None):
                self._sent[person].append(call.body["campaignId"])
                self._total += 1
        return answer

    def _shown_to(self, person: str) -> list[dict[str, Any]]:
        at = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} +00:00"
        return [
            {"messageId": f"{person}-{number}", "campaignId": one, "createdAt": at}
            for number, one in enumerate(self._sent.get(person, ()))
        ]


class Load:
    """Posts new webhooks from several threads, each again until it is answered 202.

    Args:
        programs: Where to; the next one where one does not answer.
        senders: How many threads.
        rate: Webhooks a second, all threads together; None for as many as possible.
    """

    def __init__(
        self, *programs: Program, senders: int = 4, rate: float | None = None
    ) -> None:
        self._programs = programs
        self._rate = rate
        self._stop = Event()
        self._lock = Lock()
        self._numbers = count()
        self._began = time.monotonic()
        self._pool = ThreadPoolExecutor(senders)
        #: Who was promised a message; answers other than 202 by their status.
        self.answered: set[str] = set()
        self.rejected: Counter[int] = Counter()
        self._running = [self._pool.submit(self._send) for _ in range(senders)]

    def reach(self, number: float, *, seconds: float = 300) -> None:
        """Wait until so many were answered."""
        wait_for(lambda: len(self.answered) >= number, seconds=seconds)

    def end(self) -> None:
        """Post no new ones; those begun are posted until they are answered."""
        self._stop.set()
        self._pool.shutdown()
        for one in self._running:
            one.result()

    def _send(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                person, number = new_person(), next(self._numbers)
            if self._rate is not None:
                due = self._began + number / self._rate - time.monotonic()
                self._stop.wait(max(0.0, due))
            document, until = webhook(person), time.monotonic() + 120
            while not self._is_taken(document, number):
                assert time.monotonic() < until, "not answered for two minutes"
                time.sleep(0.05)
            self.answered.add(person)

    def _is_taken(self, document: Any, number: int) -> bool:
        turn = number % len(self._programs)
        for program in (*self._programs[turn:], *self._programs[:turn]):
            try:
                answer = program.post(document, timeout=30)
            except requests.RequestException:
                continue  # this one is down
            if answer.status_code == 202:
                return True
            self.rejected[answer.status_code] += 1
            return False
        return False


def ledger(program: Program) -> dict[str, dict[str, Any]]:
    """Read every delivery, by recipient."""
    rows = program.rows("deliveries", "--limit", "1000000")
    return {row["recipient"]: row for row in rows}


def come_to_rest(program: Program, *, seconds: float) -> dict[str, dict[str, Any]]:
    """Wait until nothing moves by itself any more; give the ledger."""

    def is_at_rest() -> bool:
        time.sleep(0.5)  # each look is a command
        return not any(
            program.rows("deliveries", "--status", state, "--limit", "1")
            for state in MOVING
        )

    wait_for(is_at_rest, seconds=seconds)
    return ledger(program)


def disturbed(
    load: Load, number: int, disturb: Callable[[], None], *, webhooks: int
) -> None:
    """Disturb so many times at moments of chance while so many webhooks come."""
    chance = random.Random(number)
    for turn in range(number):
        load.reach(webhooks * (turn + chance.random()) / number)
        disturb()
    load.reach(webhooks)
    load.end()


def report(
    load: Load, message_counts: Counter[str], rows: dict[str, dict[str, Any]]
) -> None:
    """Print the figures; `pytest -s` shows them."""
    held = {name for name, row in rows.items() if row["status"] == "held"}
    states = Counter(str(row["status"]) for row in rows.values())
    print(
        f"{len(load.answered)} answered, rejected {dict(load.rejected)};"
        f" lost {len(load.answered - set(message_counts) - held)},"
        f" sent twice {sum(number > 1 for number in message_counts.values())},"
        f" held {len(held)}, of them not sent {len(held - set(message_counts))},"
        f" ever in doubt {sum(row['unknown_outcomes'] > 0 for row in rows.values())},"
        f" {dict(states)}"
    )


def kill_one(program: Program, chosen: Sequence[int]) -> None:
    """Kill some of an installation's processes, by their place, and forget them."""
    kept = [one for place, one in enumerate(program.processes) if place not in chosen]
    program.processes[:] = [program.processes[place] for place in chosen]
    program.kill()
    program.processes[:] = kept
