"""The program as its users run it: `serve` in a process group, a local Iterable."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import requests
import yaml

from bridge.sandbox import Received, Sandbox
from bridge.store import DeliveryFilter, DeliveryRow, Store, open_store
from bridge.voucherify import sign
from tests import starting
from tests.starting import Running

ROOT = Path(__file__).parents[2]
SECRET = "vf-test-secret-1"
KEY = "itbl-example-key-0123456789abcdef"
HOOK = "/webhooks/voucherify"


#: Seconds to wait for what a test names no time for.
PATIENCE = 60.0


def wait_for(what: Callable[[], Any], *, seconds: float | None = None) -> Any:
    """Return the first true value of a condition, or fail when time is up."""
    until = time.monotonic() + (PATIENCE if seconds is None else seconds)
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < until, "the condition did not come true in time"
        time.sleep(0.02)


def envelope(number: int, *, event: str = "customer.publication.succeeded") -> bytes:
    """Make a webhook of which each number is a reward of its own."""
    customer = {"id": f"cust_{number}", "source_id": f"crm-{number}", "name": "Ana"}
    voucher = {
        "id": f"v_{number}",
        "code": f"CODE-{number:06}",
        "type": "DISCOUNT_VOUCHER",
        "campaign": "Load",
        "expiration_date": None,
    }
    document = {
        "id": f"whs_{number:018x}",
        "type": "load",
        "data": {
            "customer": customer,
            "campaign": {"id": "camp_1", "name": "Load"},
            "publication": {"id": f"pub_{number}", "vouchers_id": [f"v_{number}"]},
            "voucher": voucher,
        },
        "source": {"id": "distr_1", "object": "distribution"},
        "event": {"id": f"evcus_{number}", "type": event},
    }
    return json.dumps(document, separators=(",", ":")).encode()


@dataclass(eq=False)
class Program:
    """One installation: a folder, a local Iterable, and perhaps `serve` running."""

    folder: Path
    sandbox: Sandbox
    env: dict[str, str]
    process: Running | None = None
    options: tuple[str, ...] = field(default=())

    @cached_property
    def listener(self) -> socket.socket:
        """The port, kept over restarts: the kernel holds who comes between."""
        return socket.create_server(("127.0.0.1", 0), backlog=1024)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    @property
    def log(self) -> str:
        """Everything the program has said so far."""
        return (self.folder / "log").read_text(encoding="utf-8")

    def start(self, *options: str, talk: int | None = None) -> None:
        """Start `serve` in a process group of its own; its port answers at once.

        Args:
            options: Of `serve`, beside those it always gets.
            talk: A descriptor to log to; the file `log` by default.
        """
        options = ("--bind", "fd://FD", *self.options, *options)
        self.launch("serve", *options, keep=self.listener.fileno(), talk=talk)

    def launch(
        self, *arguments: str, keep: int | None = None, talk: int | None = None
    ) -> None:
        """Start a command of the bridge in a process group of its own."""
        with (self.folder / "log").open("ab") as log:
            self.process = starting.start(
                *arguments,
                folder=self.folder,
                env=self.env,
                out=log,
                err=log if talk is None else talk,
                keep=keep,
            )

    def hang_up(self) -> None:
        """Close the port, and with it the connections nobody has accepted."""
        self.listener.close()
        del self.listener

    def kill(self) -> None:
        """Kill every process of the program, as a power cut would."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(60)
        self.process = None

    def stop(self, *, seconds: float = 30) -> int:
        """Ask the program to end, wait until it has, return its status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(seconds)
        self.process = None
        return status

    def post(self, body: bytes, path: str = HOOK, **headers: str) -> requests.Response:
        """Send a webhook, signed unless headers say something else."""
        if not headers:
            headers = {"x-voucherify-signature": sign(body, SECRET)}
        return requests.post(self.url + path, data=body, headers=headers, timeout=60)

    def run(self, *arguments: str, status: int = 0, stdin: str = "") -> str:
        """Run a command of the bridge and return what it printed as data."""
        done = self.command(*arguments, stdin=stdin)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def command(
        self, *arguments: str, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of the bridge whatever its exit code."""
        return starting.run(*arguments, folder=self.folder, env=self.env, stdin=stdin)

    def python(self, *arguments: str) -> str:
        """Run Python as the program does and return what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def beside(self, *arguments: str) -> Running:
        """Start another command beside the program; its caller ends it."""
        with (self.folder / "log").open("ab") as log:
            return starting.start(
                *arguments, folder=self.folder, env=self.env, out=log, err=log
            )

    def pid_of(self, role: str) -> int:
        """Find the process that the parent last started in a role."""
        lines = (json.loads(line) for line in self.log.splitlines())
        return next(
            int(line["pid"])
            for line in reversed(list(lines))
            if line["event"] == "process.started" and line["role"] == role
        )

    @cached_property
    def store(self) -> Store:
        """The installation's database, opened beside the program."""
        file = f"sqlite:///{self.folder / 'bridge.db'}"
        return open_store(self.env.get("DATABASE_URL", file))

    def deliveries(self, **wanted: Any) -> list[DeliveryRow]:
        """Read the ledger, newest first."""
        wanted = {"limit": 1_000_000} | wanted
        return self.store.ledger.deliveries(DeliveryFilter(**wanted))

    def statuses(self) -> Counter[str]:
        """Count the deliveries in each state."""
        return Counter(str(row.status) for row in self.deliveries())

    def accepted(self) -> list[Received]:
        """List the messages the sandbox took."""
        return [one for one in self.sandbox.received if one.is_accepted]

    def configure(self, **sections: Any) -> None:
        """Change sections of the configuration file."""
        path = self.folder / "config.yaml"
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(data | sections), encoding="utf-8")

    def route(self, **changes: Any) -> None:
        """Make one route for everything, with changes."""
        plain = {
            "name": "all",
            "when": {},
            "campaign_id": 1,
            "template": "triggered_email.json.j2",
        }
        self.configure(routes=[plain | changes])
