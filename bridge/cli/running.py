"""Commands that run the program: `serve`, `worker`, `migrate`."""

from contextlib import closing
from functools import partial
from importlib import import_module
from types import ModuleType

import click

from bridge import bootstrap, checks, config, metrics
from bridge import log as logs
from bridge.cli.frame import Command, config_path
from bridge.cli.opening import set_up_log, settings
from bridge.cli.printing import talk
from bridge.config import Config, Role
from bridge.errors import ConfigError, Problem

log = logs.get(__name__)

#: Enough for the default rate of 50 a second at a third of a second for each call.
THREADS = 16
_MOST_PROCESSES, _MOST_THREADS = 64, 256

_threads = click.option(
    "--threads",
    type=click.IntRange(1, _MOST_THREADS),
    default=THREADS,
    show_default=True,
    help="Threads of each process.",
)


@click.command(
    cls=Command, example="reward-bridge serve --bind 127.0.0.1:8000 --processes 2"
)
@click.option(
    "--bind",
    metavar="ADDRESS",
    help="host:port, or fd://N for a bound socket [default: 0.0.0.0:$PORT].",
)
@click.option(
    "--processes",
    type=click.IntRange(1, _MOST_PROCESSES),
    help="Receiving processes [default: $WEB_CONCURRENCY, else 2].",
)
@_threads
@click.option("is_receiver_only", "--no-deliver", is_flag=True, help="Receive only.")
def serve(
    bind: str | None, processes: int | None, threads: int, *, is_receiver_only: bool
) -> None:
    """Run the whole program: receive webhooks, deliver messages.

    Ends on SIGTERM when what is under way has ended, within 25 seconds.
    """
    roles: tuple[Role, ...] = ("receive", "deliver")
    loaded = _checked(*roles[: 1 if is_receiver_only else 2])
    server = _server()
    if loaded.secrets.console:
        log.info("console.on", path="/console/")
    else:
        log.info("console.off", reason="BRIDGE_CONSOLE_PASSWORD is not set")
    status = server.serve(
        loaded,
        _parts(server, loaded, threads),
        bind=f"0.0.0.0:{loaded.port}" if bind is None else bind,
        processes=loaded.processes if processes is None else processes,
        threads=threads,
        deliver=not is_receiver_only,
    )
    click.get_current_context().exit(status)


@click.command(
    cls=Command,
    example="reward-bridge worker --threads 32\n"
    "reward-bridge worker --state 127.0.0.1:9100",
)
@_threads
@click.option(
    "--state",
    metavar="ADDRESS",
    help="host:port at which to answer /healthz, /readyz and /metrics.",
)
def worker(threads: int, state: str | None) -> None:
    """Deliver only; any number of workers, on any number of machines, may run."""
    loaded = _checked("deliver")
    server = _server()
    status = server.work(_parts(server, loaded, threads), bind=state)
    click.get_current_context().exit(status)


@click.command(cls=Command, example="reward-bridge migrate")
def migrate() -> None:
    """Create or upgrade the tables.

    On SQLite `serve` and `worker` do it themselves.
    """
    loaded = settings()
    set_up_log(loaded, is_quiet=True)
    with closing(bootstrap.build(loaded).store) as store:
        store.migrate()
    talk("the tables are current")


def _parts(server: ModuleType, loaded: Config, threads: int) -> object:
    """Say what the processes are made of, all of which count together."""
    web = import_module("bridge.web")
    metrics.share([route.name for route in loaded.routes])
    return server.Parts(
        prepare=partial(bootstrap.prepare, loaded),
        finish=partial(bootstrap.finish, loaded),
        application=lambda: web.create_app(bootstrap.build(loaded)),
        state=lambda: web.create_state_app(bootstrap.build(loaded)),
        batched=web.DOORS,
        deliver=lambda stop: bootstrap.deliver(loaded, threads=threads, stop=stop),
    )


def _server() -> ModuleType:
    """Import the server, which takes gunicorn along.

    gunicorn reads WEB_CONCURRENCY while it is imported: at the top of this module a bad
    value would end every command, and before anybody could say what is wrong.

    Raises:
        ConfigError: The variable is set to nothing.
    """
    try:
        return import_module("bridge.server")
    except ValueError:
        problem = Problem("WEB_CONCURRENCY", "must be a number, or not be set")
        raise ConfigError([problem]) from None


def _checked(*roles: Role) -> Config:
    """Load the configuration of a long run, after everything that can be checked.

    Raises:
        ConfigError: With every problem there is.
    """
    problems = checks.check(config_path(), config.environ(), *roles, asks_ledger=False)
    if problems:
        raise ConfigError(problems)
    loaded = settings(*roles)
    set_up_log(loaded, is_quiet=False)
    return loaded
