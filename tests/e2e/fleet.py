"""Several programs on one PostgreSQL, as on several machines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import Any

import requests
import yaml

from bridge.bootstrap import build
from bridge.config import load
from bridge.model import Capture, EventStatus
from bridge.sandbox import Sandbox
from bridge.store import DeliveryFilter, DeliveryRow, Store, open_store
from tests.e2e.program import KEY, ROOT, SECRET, Program, envelope


@dataclass
class Fleet:
    """A database, a local Iterable, and the programs that share them."""

    folder: Path
    sandbox: Sandbox
    env: dict[str, str]
    programs: list[Program] = field(default_factory=list)

    @property
    def database_url(self) -> str:
        return self.env["DATABASE_URL"]

    def serve(self, *options: str) -> Program:
        """Start a receiver, with its own port."""
        program = self._program()
        program.start("--processes", "1", "--no-deliver", *options)
        return program

    def worker(self, *options: str) -> Program:
        """Start a worker."""
        program = self._program()
        program.launch("worker", *options)
        return program

    def configure(self, **iterable: Any) -> None:
        """Change what the next programs are told of the destination."""
        route = {
            "name": "all",
            "when": {},
            "campaign_id": 1,
            "template": "triggered_email.json.j2",
            "in_doubt": "resend",
        }
        config = {
            "iterable": {"rate_per_second": 500, "timeout_seconds": 5} | iterable,
            "templates": str(ROOT / "templates"),
            "routes": [route],
        }
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")

    def run(self, *arguments: str) -> str:
        """Run a command of the bridge."""
        return Program(self.folder, self.sandbox, self.env).run(*arguments)

    @contextmanager
    def store(self) -> Iterator[Store]:
        with closing(open_store(self.database_url)) as store:
            yield store

    def rows(self) -> list[DeliveryRow]:
        with self.store() as store:
            return store.ledger.deliveries(DeliveryFilter(limit=1_000_000))

    def statuses(self) -> Counter[str]:
        return Counter(str(row.status) for row in self.rows())

    def told(self) -> Counter[str | None]:
        """Count the messages of each person."""
        received = self.sandbox.received
        return Counter(one.user for one in received if one.is_accepted)

    def log(self) -> str:
        """Everything that all programs have said."""
        return "".join(one.log for one in self.programs)

    def end(self) -> None:
        for program in self.programs:
            if program.process is not None:
                program.kill()
            program.hang_up()

    def _program(self) -> Program:
        folder = self.folder / f"program-{len(self.programs)}"
        folder.mkdir()
        (folder / "config.yaml").write_bytes((self.folder / "config.yaml").read_bytes())
        program = Program(folder=folder, sandbox=self.sandbox, env=self.env)
        self.programs.append(program)
        return program


@contextmanager
def fleet_on(url: str, folder: Path, inherited: dict[str, str]) -> Iterator[Fleet]:
    """Prepare a database and a local Iterable; nothing is started yet."""
    with Sandbox(api_key=KEY) as sandbox:
        env = inherited | {
            "DATABASE_URL": url,
            "ITERABLE_BASE_URL": sandbox.url,
            "ITERABLE_API_KEY": KEY,
            "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
            "LOG_FORMAT": "json",
        }
        fleet = Fleet(folder, sandbox, env)
        fleet.configure()
        try:
            yield fleet
        finally:
            fleet.end()


class Load:
    """Sends new webhooks from several threads, to whichever receiver takes them.

    A refused connection, or one that is lost, is tried at the next receiver; an answer
    that is not a 2xx is kept, and the webhook sent again, as Voucherify would.
    """

    def __init__(self, programs: Sequence[Program], senders: int = 4) -> None:
        self._programs = programs
        self._numbers = count(1)
        self._stop = Event()
        self._pool = ThreadPoolExecutor(senders)
        self.answered: set[str] = set()
        self.refused: list[requests.Response] = []
        self._running = [self._pool.submit(self._send) for _ in range(senders)]

    def _send(self) -> None:
        while not self._stop.is_set():
            number = next(self._numbers)
            while not self._is_taken(number) and not self._stop.is_set():
                self._stop.wait(0.05)

    def _is_taken(self, number: int) -> bool:
        for program in (*self._programs, *self._programs)[number % 2 :]:
            with suppress(requests.RequestException):
                answer = program.post(envelope(number))
                if answer.status_code == 202:
                    self.answered.add(f"crm-{number}")
                    return True
                self.refused.append(answer)
                return False
        return False

    def end(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        for sender in self._running:
            sender.result()


def store_deliveries(fleet: Fleet, number: int) -> None:
    """Store so many webhooks at once, without a receiver."""
    bridge = build(load(fleet.folder / "config.yaml", fleet.env))
    with closing(bridge.store), ThreadPoolExecutor(16) as threads:
        captures = (Capture(body=envelope(n)) for n in range(number))
        taken = threads.map(bridge.intake.receive, captures)
        stored = Counter(one.status for one in taken)
    assert stored == {EventStatus.STORED: number}
