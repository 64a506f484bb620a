"""The measured programs: how each is started, and that each is ended again."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path

from benchmarks import envelopes, ledger, processes

ROOT = Path(__file__).parent.parent
#: Seconds from SIGTERM to SIGKILL; the bridge promises to be out within 25.
PATIENCE = 30.0
CONFIG = """\
iterable: {{rate_per_second: {rate:g}}}
templates: {templates}
routes:
  - name: rewards
    when: {{events: [customer.publication.succeeded], vouchers: [DISCOUNT_VOUCHER]}}
    campaign_id: 16504306
    template: triggered_email.json.j2
"""
#: Deliveries a second that nothing here reaches.
UNLIMITED = 100_000
#: For a ledger of three months: the oldest two are removed, the third is blanked.
SWEEPING = "retention: {blank_after: 1d, remove_after: 30d}\n"


class UnavailableError(Exception):
    """A baseline needs what is not on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every program is started with."""

    processes: int
    threads: int
    iterable_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A command; `{bind}` in it stands for the address to listen on."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A started program; requests to its port wait until it is up."""

    program: Program
    port: int
    pid: int
    log: Path

    def tail(self) -> str:
        """Show the end of what it said."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-20:])


def _gunicorn(name: str, module: str, settings: Settings) -> Program:
    return Program(
        name=name,
        command=(
            *(sys.executable, "-m", "gunicorn", "--no-control-socket"),
            *("--bind", "{bind}", "--worker-class", "gthread"),
            *("--workers", str(settings.processes)),
            *("--threads", str(settings.threads)),
            f"benchmarks.baselines.{module}:app",
        ),
        environment={
            "ITERABLE_BASE_URL": settings.iterable_url,
            "ITERABLE_API_KEY": "benchmark-key",
        },
    )


def bare_view(settings: Settings) -> Program:
    return _gunicorn("bare view", "bare_view", settings)


def inline_script(settings: Settings) -> Program:
    return _gunicorn("inline script", "inline_script", settings)


def dramatiq(settings: Settings, folder: Path) -> Program:
    """Make the same script with a queue in between: Redis, gunicorn and Dramatiq.

    Raises:
        UnavailableError: There is no Redis, or Dramatiq is not installed.
    """
    server = shutil.which("redis-server")
    if server is None or find_spec("dramatiq") is None:
        raise UnavailableError("redis-server, or the extra `bench`, is not here")
    receiver = _gunicorn("dramatiq", "dramatiq_view", settings)
    path = folder / "redis.sock"
    redis = (server, "--port", "0", "--unixsocket", str(path), "--dir", str(folder))
    worker = (
        *(sys.executable, "-m", "dramatiq", "benchmarks.baselines.dramatiq_tasks"),
        *("--processes", str(settings.processes), "--threads", str(settings.threads)),
    )
    return Program(
        name=receiver.name,
        command=(
            *(sys.executable, "-m", "benchmarks.several"),
            *("--", *redis, "--", *worker, "--", *receiver.command),
        ),
        environment={**receiver.environment, "REDIS_URL": f"unix://{path}"},
    )


def bridge(
    settings: Settings,
    folder: Path,
    *,
    delivers: bool,
    rate: float = UNLIMITED,
    more: str = "",
) -> Program:
    """Make `reward-bridge serve` on a SQLite file of its own, new unless it is there.

    Args:
        settings: As for the others.
        folder: A folder on a real disk, for the file and the configuration.
        delivers: False holds the deliveries in the store.
        rate: Most deliveries a second.
        more: Further sections of the configuration.
    """
    config = folder / "config.yaml"
    text = CONFIG.format(templates=ROOT / "templates", rate=rate)
    config.write_text(text + more, encoding="utf-8")
    return Program(
        name="bridge",
        command=(
            # As a module, so that it is this checkout's whatever is installed.
            *(sys.executable, "-m", "bridge", "serve"),
            *("--config", str(config), "--bind", "{bind}"),
            *("--processes", str(settings.processes)),
            *("--threads", str(settings.threads)),
            *(() if delivers else ("--no-deliver",)),
        ),
        environment={
            "DATABASE_URL": f"sqlite:///{folder / 'bridge.db'}",
            "VOUCHERIFY_WEBHOOK_SECRET": envelopes.SECRET,
            "ITERABLE_BASE_URL": settings.iterable_url,
            "ITERABLE_API_KEY": "benchmark-key",
        },
    )


def sweeping(settings: Settings, folder: Path, *, is_on: bool) -> Program:
    """Make a bridge on a ledger of three months, with or without retention.

    There is more to blank and to remove than it gets done in the time.
    """
    url = f"sqlite:///{folder / 'bridge.db'}"
    filled = ["--database-url", url, "--rows", "20000", "--waiting", "0"]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        ledger.main(filled)
    program = bridge(settings, folder, delivers=True, more=SWEEPING if is_on else "")
    return program if is_on else replace(program, name="keeping all")


def remembering(
    settings: Settings, folder: Path, *, rows: int, waiting: int
) -> Program:
    """Make a bridge on a ledger of so many rows; what waits in it goes on waiting.

    All turns use the same file: what they add to it is little beside what is there.
    """
    program = bridge(settings, folder, delivers=not waiting)
    url = f"sqlite:///{_filled(folder.parent, rows, waiting)}"
    return replace(program, environment={**program.environment, "DATABASE_URL": url})


@cache
def _filled(folder: Path, rows: int, waiting: int) -> Path:
    """Fill a database once for all turns."""
    path = folder / f"ledger-{rows}-{waiting}.db"
    given = ["--rows", str(rows), "--waiting", str(waiting)]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        ledger.main(["--database-url", f"sqlite:///{path}", *given])
    # What the kernel has yet to write would be in the way of the first turn's flushes.
    os.sync()
    return path


@contextmanager
def started(program: Program, folder: Path) -> Iterator[Running]:
    """Run a program for as long as the block lasts; its log is kept in the folder."""
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        bind = f"fd://{listener.fileno()}"
        log = folder / "program.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [word.replace("{bind}", bind) for word in program.command],
                cwd=ROOT,
                env={**environment(), **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
            )
        port = listener.getsockname()[1]
    try:
        yield Running(program=program, port=port, pid=child.pid, log=log)
    finally:
        _end(child)


def environment() -> dict[str, str]:
    """Keep what finds programs and nothing of the project's own variables."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ}


def _end(child: subprocess.Popen[bytes]) -> None:
    family = processes.tree(child.pid)
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        child.wait()
