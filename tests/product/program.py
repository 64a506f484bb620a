"""The program under test as its users run it: a folder, an environment, processes.

Nothing here imports the program. It is started as a command, reached over HTTP, and
asked through its own commands.
"""

import hmac
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.product.recorder import Iterable

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "voucherify"
TEMPLATES = ROOT / "templates"
SECRET = "vf-test-secret-1"
KEY = "itbl-example-key-0123456789abcdef"
HOOK = "/webhooks/voucherify"
#: Seconds a condition may take on a busy machine.
PATIENCE = 60.0
#: What a route needs beside its name.
ROUTE = {"match": {}, "campaign_id": 1, "template": "triggered_email.json.j2"}

_NUMBERS = count(1)
#: States in which a delivery does not move by itself any more.
AT_REST = (
    "accepted",
    "confirmed",
    "undelivered",
    "suppressed",
    "dead",
    "held",
    "dropped",
)


def bridge_command() -> str:
    """Name the command under test: `PRODUCT_COMMAND`, else the one beside Python."""
    beside = Path(sys.executable).parent / "reward-bridge"
    return os.environ.get("PRODUCT_COMMAND", str(beside))


def wait_for(what: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """Return the first true value of a condition, or fail when time is up."""
    until = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < until, f"did not come true within {seconds} s"
        time.sleep(0.05)


def sign(body: bytes, secret: str = SECRET) -> str:
    """Compute Voucherify's `x-voucherify-signature` of a body without blanks."""
    return hmac.digest(secret.encode(), body, "sha256").hex()


def compact(document: Any) -> bytes:
    """Write JSON as Voucherify does: without blanks, and signed so."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def sample(name: str) -> Any:
    """Read a captured webhook by the beginning of its file's name."""
    [path] = SAMPLES.glob(f"{name}*.json")
    return json.loads(path.read_text(encoding="utf-8"))


def new_person() -> str:
    """Make a source id that no other test of this process uses."""
    return f"crm-{next(_NUMBERS):06}"


def webhook(
    person: str | None = None,
    *,
    event: str = "publication.succeeded",
    campaign: str = "Load",
    code: str | None = None,
    customer: Mapping[str, Any] | None = None,
    voucher: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Make a webhook with a reward of its own for a person.

    Args:
        person: Their source id; a new one by default.
        event: Voucherify's event type.
        campaign: Name of the campaign.
        code: A new one by default.
        customer: Changes of the customer, as `email`.
        voucher: Changes of the voucher, as `type` or `expiration_date`.
    """
    number = next(_NUMBERS)
    somebody = {
        "id": f"cust_{person or number}",
        "source_id": person or f"crm-{number:06}",
        "name": "Ana Whitfield",
        "email": None,
        "object": "customer",
        **(customer or {}),
    }
    handed = {
        "id": f"v_{number}",
        "code": code or f"CODE-{number:06}",
        "type": "DISCOUNT_VOUCHER",
        "campaign": campaign,
        "discount": {"type": "AMOUNT", "amount_off": 1500},
        "expiration_date": None,
        "object": "voucher",
        **(voucher or {}),
    }
    publication = {
        "id": f"pub_{number}",
        "customer_id": somebody["id"],
        "result": "SUCCESS",
        "customer": somebody,
        "vouchers_id": [handed["id"]],
        "object": "publication",
    }
    return {
        "id": f"whs_{number:018x}",
        "type": event,
        "created_at": "2026-08-20T09:15:11.880Z",
        "data": {
            "customer": somebody,
            "campaign": {"id": f"camp_{campaign}", "name": campaign},
            "publication": publication,
            "voucher": handed,
        },
        "source": {"id": "wh_1", "object": "webhook"},
        "event": {"id": f"evpub_{number}", "type": event},
    }


def _free_port() -> int:
    """Choose a port below those the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@dataclass(eq=False, kw_only=True)
class Program:
    """One installation: a folder, Iterable's part, and perhaps running processes.

    Args:
        folder: Has `config.yaml`, the ledger and the log.
        iterable: Where its messages go.
        env: The whole environment of its processes.
        config: What `configure` changes and writes.
    """

    folder: Path
    iterable: Iterable
    env: dict[str, str]
    config: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=_free_port)
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """Everything the program's processes logged so far."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def configure(self, **sections: Any) -> None:
        """Change top-level sections of the configuration."""
        self.config |= sections
        text = yaml.safe_dump(self.config, allow_unicode=True)
        (self.folder / "config.yaml").write_text(text, encoding="utf-8")

    def destination(self, **settings: Any) -> None:
        """Change settings of the destination `iterable`."""
        known = self.config["destinations"]["iterable"]
        self.configure(destinations={"iterable": known | settings})

    def route(self, **changes: Any) -> None:
        """Have one route for everything, with changes."""
        self.configure(routes=[{"name": "all", **ROUTE, **changes}])

    def template(self, name: str, source: str) -> None:
        """Write a template into the folder the configuration then names.

        The shipped templates are copied beside it.
        """
        folder = self.folder / "templates"
        if not folder.exists():
            folder.mkdir()
            for path in TEMPLATES.glob("*.j2"):
                (folder / path.name).write_bytes(path.read_bytes())
            self.configure(templates="templates")
        (folder / name).write_text(source, encoding="utf-8")

    def start(self, *options: str) -> None:
        """Start `serve` and wait until it answers."""
        if "--processes" not in options:
            options = ("--processes", "1", *options)
        process = self.launch("serve", "--bind", f"127.0.0.1:{self.port}", *options)
        self.wait_ready(process)

    def launch(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a command in a process group of its own; it logs to the file `log`."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [bridge_command(), *arguments],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def wait_ready(self, process: "subprocess.Popen[bytes]", url: str = "") -> None:
        """Wait until the program answers `/healthz`, or fail with its log."""

        def answers() -> bool:
            assert process.poll() is None, f"it ended:\n{self.log}"
            try:
                answer = requests.get(f"{url or self.url}/healthz", timeout=5)
            except requests.ConnectionError:
                return False
            return answer.status_code == 200

        wait_for(answers)

    def stop(self, *, seconds: float = PATIENCE) -> list[int]:
        """Send SIGTERM to what was started, wait for each; give the exit codes."""
        for process in self.processes:
            process.terminate()
        statuses = [process.wait(seconds) for process in self.processes]
        self.processes.clear()
        return statuses

    def kill(self) -> None:
        """Kill every process of the program at once, as a power cut would."""
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)
        self.processes.clear()

    def post(
        self,
        document: Any,
        path: str = HOOK,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60,
    ) -> requests.Response:
        """Post a document or bytes, signed unless headers are given."""
        body = document if isinstance(document, bytes) else compact(document)
        if headers is None:
            headers = {"x-voucherify-signature": sign(body)}
        headers = {"Content-Type": "application/json", **headers}
        url = self.url + path
        return requests.post(url, data=body, headers=headers, timeout=timeout)

    def accept(self, document: Any, status: str = "stored") -> list[str]:
        """Post a webhook that is taken so; return the ids of its deliveries."""
        answer = self.post(document)
        assert answer.status_code == 202, answer.text
        said = answer.json()
        assert said["status"] == status, answer.text
        return list(said["deliveries"])

    def deliver(self, document: Any) -> dict[str, Any]:
        """Post a webhook of one message; give its delivery once it is at rest."""
        [delivery_id] = self.accept(document)
        return self.at_rest(delivery_id)

    def run(self, *arguments: str, status: int = 0, stdin: str = "") -> str:
        """Run a command to its end and return what it printed on stdout."""
        done = self.command(*arguments, stdin=stdin)
        assert done.returncode == status, (
            f"{done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def command(
        self, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end, whatever its exit code."""
        return subprocess.run(
            [bridge_command(), *arguments],
            cwd=self.folder,
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a listing command with `--json`; give its rows."""
        lines = self.run(*arguments, "--json").splitlines()
        return [json.loads(line) for line in lines]

    def deliveries(self, *filters: str) -> list[dict[str, Any]]:
        """List deliveries, newest first.

        Each has at least `id`, `event_id`, `route`, `endpoint`, `recipient`, `code`,
        `status`, `attempts`, `reason`, `due_at`, `created_at` and `updated_at`.
        """
        return self.rows("deliveries", "--limit", "10000", *filters)

    def delivery(self, delivery_id: str) -> dict[str, Any]:
        """Read one delivery with its history: `delivery`, `event`, `attempts`."""
        [found] = self.rows("deliveries", delivery_id)
        return dict(found)

    def events(self, *filters: str) -> list[dict[str, Any]]:
        """List events, newest first: `id`, `status`, `reason`, `event_type`, …."""
        return self.rows("events", "--limit", "10000", *filters)

    def statuses(self, *filters: str) -> list[str]:
        """List the states of deliveries, sorted."""
        return sorted(one["status"] for one in self.deliveries(*filters))

    def at_rest(self, delivery_id: str, *, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until a delivery does not move by itself any more; give its row."""
        return self.settled([delivery_id], seconds=seconds)[0]

    def in_state(
        self, delivery_id: str, *states: str, seconds: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until a delivery is in one of these states; give its row."""
        return self.settled([delivery_id], states, seconds=seconds)[0]

    def settled(
        self,
        ids: Sequence[str],
        states: Sequence[str] = AT_REST,
        *,
        seconds: float = PATIENCE,
    ) -> list[dict[str, Any]]:
        """Wait until each of these deliveries is in one of the states; give their rows.

        The log says when to look; without its lines the command is asked now and then.
        """
        until = time.monotonic() + seconds
        while True:
            self._await_lines(ids, states, until=min(until, time.monotonic() + 2.5))
            rows = {row["id"]: row for row in self.deliveries()}
            if all(rows[one]["status"] in states for one in ids):
                return [rows[one] for one in ids]
            found = {one: (rows[one]["status"], rows[one]["reason"]) for one in ids}
            assert time.monotonic() < until, found
            time.sleep(0.2)

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Read the lines of the log, all or of one event."""
        lines = (line for line in self.log.splitlines() if line.startswith("{"))
        found = map(json.loads, lines)
        return [one for one in found if event in (None, one["event"])]

    def await_log(
        self, event: str, *, seconds: float = PATIENCE, **fields: Any
    ) -> dict[str, Any]:
        """Wait for a line of the log with these fields; return the last such."""

        def found() -> list[dict[str, Any]]:
            lines = self.records(event)
            return [one for one in lines if fields.items() <= one.items()]

        lines: list[dict[str, Any]] = wait_for(found, seconds=seconds)
        return lines[-1]

    def _await_lines(
        self, ids: Sequence[str], states: Sequence[str], *, until: float
    ) -> None:
        hints = tuple(f"delivery.{state}" for state in states)
        waiting = set(ids)
        while waiting and time.monotonic() < until:
            text = self.log
            lines = [line for line in text.splitlines() if "delivery." in line]
            said = [line for line in lines if any(hint in line for hint in hints)]
            waiting -= {one for one in waiting if any(one in line for line in said)}
            time.sleep(0.1)


@contextmanager
def installed(folder: Path, **sections: Any) -> Iterator[Program]:
    """Prepare an installation with one route for everything; nothing is started.

    Args:
        folder: An empty one.
        sections: Of the configuration, in place of the usual.
    """
    iterable = Iterable()
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = kept | {
        "ITERABLE_API_KEY": KEY,
        "ITERABLE_BASE_URL": iterable.url,
        "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
        "LOG_FORMAT": "json",
    }
    settings = {
        "rate_per_second": 1000,
        "timeout": "2s",
        "verify": {"after": "1s", "rate_per_second": 50},
    }
    usual = {
        "destinations": {"iterable": settings},
        "templates": str(TEMPLATES),
        "routes": [{"name": "all", **ROUTE}],
    }
    program = Program(folder=folder, iterable=iterable, env=env)
    program.configure(**(usual | sections))
    try:
        yield program
    finally:
        iterable.stop()
        program.kill()
