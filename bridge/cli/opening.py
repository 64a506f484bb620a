"""What commands work with: configuration, ledger, and the captures that are named."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from bridge import bootstrap, captures, config, integrations
from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.captures import CapturedWebhook
from bridge.cli.app import config_path
from bridge.cli.output import info
from bridge.config import Config, Role
from bridge.errors import CaptureError, StoreUnavailable
from bridge.store import ledger_name


def load_config(*roles: Role) -> Config:
    """Load the configuration.

    Args:
        roles: What the command is about to do; each needs its own secrets.

    Raises:
        ConfigError: With every problem there is.
    """
    environ = config.environ()
    return config.load(
        config_path(environ), environ, *roles, find_integration=integrations.find
    )


def set_up_log(loaded: Config, *, is_quiet: bool = True) -> None:
    """Send log lines to stderr, with every configured secret masked.

    Args:
        loaded: Level, format and secrets.
        is_quiet: Warnings only, as text, for a person at a shell.
    """
    level = "WARNING" if is_quiet else loaded.log.level
    form = "text" if is_quiet else loaded.log.format
    logs.configure(level, form, secrets=loaded.secret_values)


@contextmanager
def opened(*roles: Role, must_exist: bool = True) -> Iterator[Bridge]:
    """Open the configured ledger for one command, and say on stderr which one it is.

    Args:
        roles: As for `load_config`.
        must_exist: Whether a missing SQLite file is an error; no command creates it
            here.

    Raises:
        StoreUnavailable: There is no ledger, or its tables are of another version.
    """
    loaded = load_config(*roles)
    set_up_log(loaded)
    bridge = bootstrap.build(loaded)
    try:
        info(f"ledger      {ledger_name(loaded.database_url)}")
        _check(bridge, must_exist=must_exist)
        yield bridge
    finally:
        bridge.store.close()


def _check(bridge: Bridge, *, must_exist: bool) -> None:
    """Upgrade the tables of an existing SQLite file; other databases need `migrate`."""
    name = ledger_name(bridge.config.database_url)
    is_sqlite = bridge.config.database_url.startswith("sqlite")
    if is_sqlite and not bridge.store.exists():
        if must_exist:
            raise StoreUnavailable(
                f"there is no ledger at {name}; are configuration and DATABASE_URL "
                "the right ones? (`serve` creates it)"
            )
        return
    if bridge.store.is_current():
        return
    if not is_sqlite:
        raise StoreUnavailable(
            "the tables are missing or of another version: run `reward-bridge migrate`"
        )
    bridge.store.migrate()


def print_destinations(bridge: Bridge) -> bool:
    """Say which destinations a plan concerns; True where all are our own sandboxes."""
    is_sandbox = True
    for name, destination in sorted(bridge.destinations.items()):
        is_own = destination.is_sandbox()
        is_sandbox &= is_own
        people = "a sandbox, no real customer" if is_own else "real customers"
        info(f"{name:10}  {destination.config.base_url or 'not configured'} ({people})")
    return is_sandbox


def read_captures(
    files: Iterable[str], unreadable: Callable[[CaptureError], None]
) -> Iterator[CapturedWebhook]:
    """Read captured webhooks; `unreadable` gets what cannot be read.

    Args:
        files: Files of any known format, folders of them, or - for standard input.
        unreadable: Called with each error.
    """
    for name in files:
        where: Path | Literal["-"] = "-" if name == "-" else Path(name)
        yield from captures.iter_captures(where, info, unreadable)
