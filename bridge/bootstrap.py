"""The composition root: one `Config` becomes a wired `Bridge`.

The clock and the random generator enter the program here.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random, SystemRandom
from threading import Event, Thread

from bridge import cataloguing, shortening
from bridge import log as logs
from bridge.alerts import Channel, Watch
from bridge.config import Config
from bridge.confirm import Confirm
from bridge.dispatch import Dispatch
from bridge.errors import StoreUnavailable
from bridge.http import Http
from bridge.intake import Intake
from bridge.iterable import Client
from bridge.lookout import Lookout
from bridge.model import Claim
from bridge.publications import MAX_REPLY_BYTES, Api
from bridge.rendering import Payload, Templates
from bridge.retention import Retention
from bridge.senders import Senders
from bridge.store import Figures, Store, new_id, open_store
from bridge.verification import Verifier
from bridge.worker import Coordinator

log = logs.get(__name__)

#: One call to Voucherify's API, whose pages may be long.
_VOUCHERIFY_TIMEOUT = timedelta(seconds=30)


def now() -> datetime:
    """Read the clock: aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """What the doors and commands need."""

    config: Config
    store: Store
    intake: Intake
    confirm: Confirm


def build(config: Config) -> Bridge:
    """Wire the parts; nothing is opened until it is used, so a fork is safe."""
    store = open_store(config.database_url)
    intake = Intake(config.routes, store.commits.enlist, new_id)
    confirm = Confirm(config, store)
    return Bridge(config=config, store=store, intake=intake, confirm=confirm)


def templates(config: Config) -> Templates:
    """Compile the templates the routes name.

    Raises:
        ConfigError: With every template that does not compile.
    """
    return Templates(config.templates, {route.template for route in config.routes})


def client(config: Config, threads: int) -> Client:
    """Make an Iterable client with as many connections as threads."""
    http = Http(config.iterable.timeout, pool=threads)
    return Client(http, config.iterable.base_url, config.iterable.api_key)


def voucherify_api(config: Config, told: Callable[[str], None]) -> Api:
    """Make a client of Voucherify's API.

    Args:
        config: Loaded for the role `reconcile`.
        told: Gets a sentence before a long wait.
    """
    http = Http(_VOUCHERIFY_TIMEOUT, pool=1, max_reply_bytes=MAX_REPLY_BYTES)
    return Api(http, config.voucherify, sleep=time.sleep, told=told)


def prepare(config: Config) -> None:
    """Create or upgrade the tables of SQLite; elsewhere that is `migrate`'s to do.

    Raises:
        StoreUnavailable: The database cannot be written.
    """
    if config.database_url.startswith("sqlite"):
        with closing(build(config).store) as store:
            store.migrate()


def finish(config: Config) -> None:
    """Leave a ledger on SQLite as one file, once nobody of ours has it open any more.

    A process that ends does not close what its threads have open, so SQLite would keep
    its log, with everything that was deleted since.
    """
    if not config.database_url.startswith("sqlite"):
        return
    with closing(build(config).store) as store:
        if not store.exists():
            return
        try:
            store.empty_log()
        except StoreUnavailable as error:
            log.warning("store.unavailable", reason=error.reason)


def _alerting(config: Config, store: Store) -> Callable[[Figures | None], None] | None:
    """Make what turns figures into alerts, where there is somewhere to send them."""
    if not config.alerts.url:
        return None
    return Watch(config, store, Channel(config.alerts.url).say).update


def _render(dispatch: Dispatch, claim: Claim) -> bytes | None:
    """Show what an attempt would send."""
    prepared = dispatch.render(claim)
    return prepared.body if isinstance(prepared, Payload) else None


def deliver(config: Config, *, threads: int, stop: Event) -> None:
    """Deliver until told to stop: the whole life of a delivering process."""
    bridge = build(config)
    rng: Random = SystemRandom()
    iterable = client(config, threads)
    dispatch = Dispatch(config, templates(config), iterable, rng, bridge.store.now)
    verifier = Verifier(config, bridge.store, iterable, partial(_render, dispatch))
    senders = Senders(dispatch, threads, stop, verifier)
    coordinator = Coordinator(
        config, bridge.store, senders=senders, threads=threads, stop=stop
    )
    lookout = Lookout(config, bridge.store)
    watch = partial(lookout.run, stop, then=_alerting(config, bridge.store))
    Thread(target=watch, name="lookout", daemon=True).start()
    Retention(config.retention, bridge.store, stop).start()
    beside = [
        cataloguing.start(bridge.store.ledger, stop),
        shortening.start(bridge.store, stop),
    ]
    try:
        coordinator.run()
    finally:
        stop.set()  # those beside it end too, where it was not told to stop but failed
        for thread in beside:
            thread.join()
        bridge.store.close()
