"""Load under repeated kill -9: what was answered 2xx against what arrived."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread

from benchmarks import envelopes
from benchmarks.programs import ROOT, environment
from bridge.sandbox import Sandbox
from bridge.store import DeliveryFilter, DeliveryRow, open_store

CONFIG = """\
iterable:
  rate_per_second: 1000
  timeout_seconds: 0.5
  verify: {{after: 2s, rate_per_second: 500}}
templates: {templates}
routes:
  - name: rewards
    when: {{}}
    campaign_id: 1
    template: triggered_email.json.j2
    in_doubt: {policy}
"""
SENDERS = 6
#: Seconds until everything must have settled after the last kill.
SETTLED_WITHIN = 180.0
MOVING = {"pending", "sending", "in_doubt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Toll:
    """What the kills cost."""

    policy: str
    kills: int
    #: Webhooks that were answered 2xx.
    answered: int
    #: Of these, how many people were never told.
    lost: int
    #: Messages beyond one a person.
    duplicates: int
    #: Deliveries left to a person's decision.
    held: int


class Installation:
    """`serve` in a process group of its own, on a port that outlives it.

    Args:
        folder: For configuration, log and, unless `database_url` says otherwise, data.
        iterable_url: Where Iterable's part is played.
        policy: The route's `in_doubt`.
        database_url: A new SQLite file in the folder by default.
    """

    def __init__(
        self,
        folder: Path,
        iterable_url: str,
        policy: str,
        database_url: str | None = None,
    ) -> None:
        self._folder = folder
        text = CONFIG.format(templates=ROOT / "templates", policy=policy)
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        url = database_url or f"sqlite:///{folder / 'bridge.db'}"
        self.store = open_store(url)
        self._environment = {
            "DATABASE_URL": url,
            "BRIDGE_CONFIG": str(folder / "config.yaml"),
            "VOUCHERIFY_WEBHOOK_SECRET": envelopes.SECRET,
            "ITERABLE_BASE_URL": iterable_url,
            "ITERABLE_API_KEY": "benchmark-key",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def start(self) -> None:
        fd = self.listener.fileno()
        with (self._folder / "program.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bridge", "serve", "--bind", f"fd://{fd}"],
                cwd=ROOT,
                env={**environment(), **self._environment},
                pass_fds=[fd],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def rows(self) -> list[DeliveryRow]:
        return self.store.ledger.deliveries(DeliveryFilter(limit=10**9))

    def end(self) -> None:
        """Kill it for good, and close the port."""
        self.kill()
        self.listener.close()
        self.store.close()


class Load:
    """Posts each webhook until it is answered 2xx, from several threads."""

    def __init__(self, port: int, webhooks: int) -> None:
        self._port = port
        self._requests = envelopes.requests(webhooks, run=1, port=port)
        self._numbers = count()
        self._stop = Event()
        self.answered = 0
        self._threads = [Thread(target=self._send) for _ in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    @property
    def is_done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        while (number := next(self._numbers)) < len(self._requests):
            # What is not answered is sent again, as Voucherify does.
            while not post(self._port, self._requests[number]):
                self._stop.wait(0.02)
            self.answered += 1


def post(port: int, request: bytes) -> bool:
    """Send a request on a connection of its own; tell whether it was answered 202."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=15) as connection:
            connection.sendall(request)
            return connection.recv(4096).startswith(b"HTTP/1.1 202 ")
    except OSError:
        return False


def measure(folder: Path, *, policy: str, webhooks: int, kills: int, seed: int) -> Toll:
    """Kill the whole program at random moments while webhooks come in."""
    rng = Random(seed)
    with Sandbox() as sandbox:
        # Calls are open whenever the cut comes.
        sandbox.tell(times=None, delay_after=0.01)
        program = Installation(folder, sandbox.url, policy)
        program.start()
        load = Load(program.port, webhooks)
        for number in range(1, kills + 1):
            # Spread over the load, wherever in a transaction that may be.
            while load.answered < number * webhooks // (kills + 1) and not load.is_done:
                time.sleep(0.01)
            time.sleep(rng.random() / 10)
            program.kill()
            program.start()
        load.wait()
        until = time.monotonic() + SETTLED_WITHIN
        rows = program.rows()
        while any(row.status in MOVING for row in rows):
            if time.monotonic() > until:
                raise TimeoutError("not everything settled")
            time.sleep(0.5)
            rows = program.rows()
        program.end()
        told = Counter(one.user for one in sandbox.received if one.is_accepted)
    expected = {envelopes.user_id(1, number) for number in range(webhooks)}
    # One that is held is not lost: it is shown, with what is known of it.
    held = {row.recipient for row in rows if row.status == "held"}
    return Toll(
        policy=policy,
        kills=kills,
        answered=load.answered,
        lost=len(expected - set(told) - held),
        duplicates=sum(told.values()) - len(told),
        held=len(held),
    )
