"""Commands that run the program: `serve`, `worker`, `migrate`."""

import sys
from contextlib import closing

import click

from bridge import bootstrap, checks, config
from bridge import logging as logs
from bridge.cli.app import command, config_path
from bridge.cli.opening import load_config, set_up_log
from bridge.cli.output import info
from bridge.config import Config, Role
from bridge.errors import ConfigError
from bridge.server import programs
from bridge.store import ledger_name
from bridge.web.application import entrypoints

log = logs.get(__name__)

_MAX_PROCESSES, _MAX_CONCURRENCY = 64, 1000

_concurrency = click.option(
    "--concurrency",
    type=click.IntRange(1, _MAX_CONCURRENCY),
    default=bootstrap.CONCURRENCY,
    show_default=True,
    help="Sends to one destination at the same time.",
)


@command("serve", example="reward-bridge serve --bind 127.0.0.1:8000 --processes 2")
@click.option(
    "--bind",
    metavar="ADDRESS",
    help="host:port, or fd://N for a bound socket [default: 0.0.0.0:$PORT].",
)
@click.option(
    "--processes",
    type=click.IntRange(1, _MAX_PROCESSES),
    help="Receiving processes [default: $WEB_CONCURRENCY, else 2].",
)
@_concurrency
@click.option("is_receiver_only", "--no-deliver", is_flag=True, help="Receive only.")
def serve(
    bind: str | None, processes: int | None, concurrency: int, *, is_receiver_only: bool
) -> None:
    """Run the whole program: receive webhooks, deliver messages.

    Ends within 25 seconds of SIGTERM, when requests and sends in progress have ended.
    """
    roles: tuple[Role, ...] = (
        ("receive",) if is_receiver_only else ("receive", "deliver")
    )
    loaded = _checked(*roles)
    if not loaded.console_password:
        log.info("console.disabled", reason="BRIDGE_CONSOLE_PASSWORD is not set")
    status = programs.serve(
        entrypoints(loaded, concurrency),
        bind=f"0.0.0.0:{loaded.port}" if bind is None else bind,
        processes=loaded.processes if processes is None else processes,
        deliver=not is_receiver_only,
    )
    sys.exit(status)


@command(
    "worker",
    example="reward-bridge worker --concurrency 100\n"
    "reward-bridge worker --status-address 127.0.0.1:9100",
)
@_concurrency
@click.option(
    "--status-address",
    metavar="HOST:PORT",
    help="Where to answer /healthz, /readyz and /metrics [default: nowhere].",
)
def worker(concurrency: int, status_address: str | None) -> None:
    """Deliver messages only; any number of workers, on any number of machines, may run.

    Ends within 25 seconds of SIGTERM, when sends in progress have ended.
    """
    loaded = _checked("deliver")
    entry = entrypoints(loaded, concurrency)
    sys.exit(programs.work(entry, status_address=status_address))


@command("migrate", example="reward-bridge migrate")
def migrate() -> None:
    """Create or upgrade the tables.

    On SQLite `serve` and `worker` do it themselves.
    """
    loaded = load_config()
    set_up_log(loaded)
    info(f"ledger      {ledger_name(loaded.database_url)}")
    with closing(bootstrap.build(loaded).store) as store:
        store.migrate()
    info("the tables are current")


def _checked(*roles: Role) -> Config:
    """Load the configuration of a long run, after everything that can be checked."""
    environ = config.environ()
    report = checks.check(config_path(environ), environ, *roles)
    if report.problems:
        raise ConfigError(report.problems)
    loaded = load_config(*roles)
    set_up_log(loaded, is_quiet=False)
    return loaded
