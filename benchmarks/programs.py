"""The measured programs: their configuration, and how each is started and ended."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from benchmarks import processes, webhooks
from benchmarks.checkout import ROOT, Checkout

#: Receiving processes of every program.
PROCESSES = 2
#: Seconds from SIGTERM to SIGKILL; the bridge promises to end within 25.
STOP_SECONDS = 30.0
#: Both generations' configuration: the destination, and the name of the condition. No
#: program here reaches the rate.
NEW_WORDS = ("destinations: {iterable: {rate_per_second: 100000}}", "match")
OLD_WORDS = ("iterable: {rate_per_second: 100000}", "when")
CONFIG = """\
{destination}
templates: {templates}
routes:
  - name: rewards
    {match}: {{events: [customer.publication.succeeded], vouchers: [DISCOUNT_VOUCHER]}}
    campaign_id: 16504306
    template: triggered_email.json.j2
"""

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Commands that run together; `{bind}` is replaced by the address to listen on."""

    commands: tuple[Command, ...]
    environment: Mapping[str, str]
    folder: Path = ROOT


#: Makes a program whose files are in the given folder.
Maker = Callable[[Path], Program]


class Running(NamedTuple):
    """A started program; connections to its port wait until it accepts them."""

    port: int
    leaders: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factory:
    """Makes every program; each sends its messages to the sink."""

    sink_url: str
    new: Checkout
    old: Checkout | None

    def bridge(
        self, folder: Path, *, is_old: bool = False, delivers: bool = True
    ) -> Program:
        """Make `reward-bridge serve` on a folder's ledger, new unless it is there."""
        checkout = self.old if is_old else self.new
        assert checkout is not None
        destination, match = OLD_WORDS if is_old else NEW_WORDS
        text = CONFIG.format(
            destination=destination, match=match, templates=checkout.root / "templates"
        )
        config = folder / "config.yaml"
        config.write_text(text, encoding="utf-8")
        command = (
            # As a module in its folder: that checkout's code whatever is installed.
            *(str(checkout.python), "-m", "bridge", "serve", "--config", str(config)),
            *("--bind", "{bind}", "--processes", str(PROCESSES)),
            *(() if delivers else ("--no-deliver",)),
        )
        environment = {
            **self._iterable(),
            "DATABASE_URL": f"sqlite:///{folder / 'bridge.db'}",
            "VOUCHERIFY_WEBHOOK_SECRET": webhooks.SECRET,
        }
        return Program(
            commands=(command,), environment=environment, folder=checkout.root
        )

    def script(self, _folder: Path, *, module: str) -> Program:
        """Make one of the scripts in `baselines`."""
        command = self._gunicorn(module)
        return Program(commands=(command,), environment=self._iterable())

    def dramatiq(self, folder: Path) -> Program:
        """Make the relay with a Dramatiq queue on a Redis of its own."""
        path, python, module = folder / "redis.sock", sys.executable, "dramatiq_relay"
        redis = ("redis-server", "--port", "0", "--unixsocket", str(path))
        worker = (python, "-m", "dramatiq", f"benchmarks.baselines.{module}")
        many = ("--processes", str(PROCESSES), "--threads", "16")
        return Program(
            commands=(
                (*redis, "--dir", str(folder)),
                (*worker, *many),
                self._gunicorn(module),
            ),
            environment={**self._iterable(), "REDIS_URL": f"unix://{path}"},
        )

    def _gunicorn(self, module: str) -> Command:
        return (
            *(sys.executable, "-m", "gunicorn", "-k", "gevent", "--bind", "{bind}"),
            *("--workers", str(PROCESSES), "--no-control-socket"),
            *("--keep-alive", "95", f"benchmarks.baselines.{module}:app"),
        )

    def _iterable(self) -> dict[str, str]:
        return {"ITERABLE_BASE_URL": self.sink_url, "ITERABLE_API_KEY": "benchmark-key"}


def missing_for_dramatiq() -> str | None:
    """Say what the Dramatiq relay lacks on this machine; None if nothing."""
    if shutil.which("redis-server") is None:
        return "no redis-server is installed"
    return None if find_spec("dramatiq") else "the extra `bench` is not installed"


@contextmanager
def started(program: Program, log: Path) -> Iterator[Running]:
    """Run a program as long as the block lasts."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    with ExitStack() as stack, log.open("wb") as output:
        with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
            port, leaders = listener.getsockname()[1], []
            for command in program.commands:
                child = subprocess.Popen(
                    [word.format(bind=f"fd://{listener.fileno()}") for word in command],
                    cwd=program.folder,
                    env={**inherited, **program.environment},
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    pass_fds=[listener.fileno()],
                    start_new_session=True,
                )
                stack.callback(_end, child)
                leaders.append(child.pid)
        yield Running(port=port, leaders=leaders)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End a command and, after a while, everything of its session."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_SECONDS)
    for pid in processes.of_sessions({child.pid}):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait()
