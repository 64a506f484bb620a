"""The composition root: one `Config` becomes a wired `Bridge`.

The clock and the random generator enter the program here.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from random import SystemRandom
from threading import Event

from bridge import integrations, maintenance
from bridge import logging as logs
from bridge.config import Config
from bridge.delivery import Attempts, InDoubtResolver, Scheduler, SenderPool, Verifier
from bridge.errors import StoreUnavailable
from bridge.http import HttpClient
from bridge.intake import Intake
from bridge.integrations import Destination, Source
from bridge.integrations.voucherify.client import VoucherifyClient
from bridge.model import Claim
from bridge.receipts import ReceiptHandler
from bridge.rendering import Payload, Templates
from bridge.store import Start, Store, open_store
from bridge.store.ingest import ingest

log = logs.get(__name__)

#: Sends to one destination at the same time, where a command says nothing else: enough
#: for 50 a second at one second each.
CONCURRENCY = 64


def now() -> datetime:
    """Read the clock, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """What web and commands need."""

    config: Config
    store: Store
    #: By name.
    sources: Mapping[str, Source]
    destinations: Mapping[str, Destination]
    intake: Intake
    receipts: ReceiptHandler


def build(
    config: Config, *, concurrency: int = 10, start: Start | None = None
) -> Bridge:
    """Wire the parts; nothing is opened until it is used, so a fork is safe.

    Args:
        config: The whole configuration.
        concurrency: Connections kept to one destination.
        start: Runs SQLite's commits in native threads (`bridge.server`).
    """
    store = open_store(config.database_url, start=start)
    sources = integrations.make_sources(config)
    destinations = integrations.make_destinations(config, concurrency=concurrency)
    return Bridge(
        config=config,
        store=store,
        sources=sources,
        destinations=destinations,
        intake=Intake(config, sources, destinations, store.group(ingest).submit),
        receipts=ReceiptHandler(config, store),
    )


def templates(config: Config) -> Templates:
    """Compile the templates the routes name.

    Raises:
        ConfigError: With every template that does not compile.
    """
    return Templates(config.templates, {route.template for route in config.routes})


def voucherify_client(
    config: Config, source: str, notify: Callable[[str], None]
) -> VoucherifyClient:
    """Make a client of the API of a source's Voucherify project.

    Args:
        config: Loaded for the role `ask`.
        source: Name of the source.
        notify: Gets a sentence before a long wait.
    """
    section = config.sources[source]
    return VoucherifyClient(
        HttpClient(pool=1), section, sleep=time.sleep, notify=notify
    )


def prepare(config: Config) -> None:
    """Create or upgrade the tables of SQLite; elsewhere `migrate` does that.

    Raises:
        StoreUnavailable: The database cannot be written.
    """
    if config.database_url.startswith("sqlite"):
        with closing(open_store(config.database_url)) as store:
            store.migrate()


def finish(config: Config) -> None:
    """Leave a ledger on SQLite as one file, once no process of ours has it open.

    A process that ends does not close what its threads have open, so SQLite would keep
    its log, with everything that was deleted since.
    """
    if not config.database_url.startswith("sqlite"):
        return
    with closing(open_store(config.database_url)) as store:
        if not store.exists():
            return
        try:
            store.truncate_wal()
        except StoreUnavailable as error:
            log.warning("store.unavailable", reason=error.reason)


def deliver(
    config: Config,
    *,
    stop: Event,
    concurrency: int = CONCURRENCY,
    start: Start | None = None,
) -> None:
    """Deliver until asked to stop: the whole life of a delivering process.

    The process is monkey-patched by gevent (`bridge.server`).

    Args:
        config: Loaded for the role `deliver`.
        stop: Set to end: claims end, open calls are awaited and settled.
        concurrency: Sends to one destination at the same time.
        start: As for `build`.
    """
    bridge = build(config, concurrency=concurrency, start=start)
    scheduler = _scheduler(bridge, stop, concurrency)
    chores = maintenance.start(config, bridge.store, stop)
    try:
        scheduler.run()
    finally:
        stop.set()  # the chores end too, where this failed and was not asked to stop
        for chore in chores:
            chore.join()
        bridge.store.close()


def _scheduler(bridge: Bridge, stop: Event, concurrency: int) -> Scheduler:
    config, store, destinations = bridge.config, bridge.store, bridge.destinations
    attempts = Attempts(
        config,
        templates(config),
        sources=bridge.sources,
        destinations=destinations,
        rng=SystemRandom(),
        now=store.now,
    )
    pool = SenderPool(
        attempts,
        Verifier(config, store, destinations, partial(_preview, attempts)),
        destinations=destinations,
        routes={route.name: route for route in config.routes},
        concurrency=concurrency,
        stop=stop,
    )
    resolver = InDoubtResolver(
        config,
        store,
        destinations,
        can_verify=partial(_can_verify, destinations),
        concurrency=concurrency,
    )
    return Scheduler(
        config, store, pool=pool, resolver=resolver, concurrency=concurrency, stop=stop
    )


def _preview(attempts: Attempts, claim: Claim) -> bytes | None:
    """Show what an attempt would send."""
    rendered = attempts.render(claim)
    return rendered.body if isinstance(rendered, Payload) else None


def _can_verify(
    destinations: Mapping[str, Destination], name: str, endpoint: str
) -> bool:
    """Tell whether a destination can be asked if it sent a message."""
    destination = destinations.get(name)
    if destination is None or destination.verification is None:
        return False
    integration = integrations.find(destination.config.kind)
    spec = None if integration is None else integration.destination_spec
    return spec is not None and endpoint in spec.verifiable_endpoints
