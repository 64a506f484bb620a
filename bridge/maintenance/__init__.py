"""Maintenance: what a delivering process does beside sending, each in its own loop.

Retention, queue statistics, alerts, bulk jobs, and SQLite's write-ahead log. Each is a
chore: a generator that does a piece of work and yields the seconds to wait. An error
ends its run, never its loop.
"""

from collections.abc import Callable, Iterator, Mapping
from threading import Event, Thread

from bridge import logging as logs
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.maintenance.alerts import AlertManager, AlertSender, Channel
from bridge.maintenance.retention import RetentionSweeper
from bridge.maintenance.stats import StatsCollector
from bridge.store import Store, jobs

log = logs.get(__name__)

#: Seconds before a chore that failed or ended begins anew.
RESTART = 5.0
#: Seconds between two looks at the length of SQLite's write-ahead log.
CHECKPOINT_EVERY = 0.5
#: Seconds between two looks for bulk jobs, and between two batches: a batch holds the
#: write lock for some 10 ms, and webhooks are stored in between.
LOOK_FOR_JOBS_EVERY, BETWEEN_BATCHES = 2.0, 0.1

#: Does some work, then yields how many seconds to wait; again and again.
Chore = Callable[[], Iterator[float]]


def start(config: Config, store: Store, stop: Event) -> list[Thread]:
    """Start every chore in a thread of its own; each ends soon after `stop` is set."""
    alerts = AlertManager(config, store)
    collector = StatsCollector(config, store, then=alerts.update)
    chores: dict[str, Chore] = {
        "stats": collector.run,
        "jobs": lambda: run_jobs(store),
        "wal": lambda: checkpoint_wal(store),
    }
    if config.retention.is_on:
        chores["retention"] = RetentionSweeper(config.retention, store).run
    if config.alerts.url:
        channel = Channel(config.alerts.url)
        chores["alerts"] = AlertSender(config, store, channel.send).run
    return start_chores(chores, stop)


def start_chores(chores: Mapping[str, Chore], stop: Event) -> list[Thread]:
    """Run chores by name until `stop` is set."""
    threads = [
        Thread(target=_loop, args=(name, chore, stop), name=name, daemon=True)
        for name, chore in chores.items()
    ]
    for thread in threads:
        thread.start()
    return threads


def checkpoint_wal(store: Store) -> Iterator[float]:
    """Keep SQLite's write-ahead log short, so that no webhook has to."""
    while True:
        yield CHECKPOINT_EVERY
        store.checkpoint_wal()


def run_jobs(store: Store) -> Iterator[float]:
    """Advance every running bulk job, a batch of each in turn."""
    while True:
        with store.read() as tx:
            running = jobs.running(tx)
        for job_id in running:
            with store.write() as tx:
                job = jobs.run_batch(tx, job_id)
            if job is not None and job.ended_at is not None:
                log.info("job.done", job_id=job.id, done=job.done, skipped=job.skipped)
            yield BETWEEN_BATCHES
        if not running:
            yield LOOK_FOR_JOBS_EVERY


def _loop(name: str, chore: Chore, stop: Event) -> None:
    while not stop.is_set():
        # An error in one chore must not end it for good: there would be no alert.
        try:
            for seconds in chore():
                if stop.wait(seconds):
                    return
        except StoreUnavailable as error:
            log.debug("store.unavailable", name=name, reason=error.reason)
        except Exception:
            log.exception("maintenance.failed", name=name)
        stop.wait(RESTART)
