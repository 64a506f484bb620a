"""From `--config` to what a command works with, and closed again afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager

from bridge import bootstrap, config, log
from bridge.bootstrap import Bridge
from bridge.cli.frame import config_path
from bridge.config import Config, Role
from bridge.errors import StoreUnavailable


def settings(*roles: Role) -> Config:
    """Load the configuration.

    Args:
        roles: What the command is about to do; each asks for its secrets.
    """
    return config.load(config_path(), config.environ(), *roles)


def set_up_log(loaded: Config, *, is_quiet: bool) -> None:
    """Send log lines to stderr.

    Args:
        loaded: Level, format, and the secrets to be masked.
        is_quiet: Only what a person at a shell should see, as text.
    """
    secrets = loaded.secrets
    hidden = (
        *secrets.voucherify,
        *secrets.inbound,
        *secrets.iterable,
        secrets.console,
        loaded.iterable.api_key,
        loaded.metrics.token,
        loaded.voucherify.app_token,
        loaded.alerts.url,
    )
    if is_quiet:
        log.setup("WARNING", "text", hidden)
    else:
        log.setup(loaded.log.level, loaded.log.format, hidden)


@contextmanager
def opened(*roles: Role) -> Iterator[Bridge]:
    """Open the configured store for one command.

    Raises:
        StoreUnavailable: Its tables are not those of this program.
    """
    loaded = settings(*roles)
    set_up_log(loaded, is_quiet=True)
    bridge = bootstrap.build(loaded)
    try:
        bring_up_to_date(bridge)
        yield bridge
    finally:
        bridge.store.close()


def bring_up_to_date(bridge: Bridge) -> None:
    """Create or upgrade the tables on SQLite; elsewhere ask for it.

    Several machines share any other database, so that upgrading it is a step of its
    own (`migrate`).

    Raises:
        StoreUnavailable: The tables are missing or old.
    """
    if bridge.store.is_current():
        return
    if bridge.config.database_url.startswith("sqlite"):
        bridge.store.migrate()
    else:
        raise StoreUnavailable(
            "the tables are missing or of another version: run `reward-bridge migrate`"
        )
