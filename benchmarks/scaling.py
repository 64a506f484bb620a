"""`python -m benchmarks.scaling`: what a webhook costs PostgreSQL, and a large ledger.

The cost is the server's own count while the whole program runs; the times are those of
the statements that every webhook needs, beside few rows and beside very many.
"""

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import (
    ExitStack,
    closing,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from dataclasses import dataclass, replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import envelopes, ledger, machine, postgres, programs, shared
from benchmarks.__main__ import RESULTS
from benchmarks.peers import Sender, Sink
from benchmarks.programs import Settings
from benchmarks.sender import Order
from bridge.bootstrap import build
from bridge.config import load
from bridge.errors import BridgeError
from bridge.model import Capture, Lane
from bridge.store import Store, new_id, open_store

#: How often each statement is timed beside each ledger.
TIMES = 100
#: Deliveries in one claim, as a worker of 16 threads takes at most.
CLAIMED = 32
LEASE = timedelta(minutes=1)
#: What the server has counted so far. It hears of a session's last second late.
_COUNTS = """
SELECT xact_commit, tup_inserted, tup_updated,
       pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8,
       (SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'reward-bridge' AND pid <> pg_backend_pid())
FROM pg_stat_database WHERE datname = current_database()
"""
_LATE = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What the server did, and how many were connected."""

    transactions: float
    inserted: float
    updated: float
    wal_bytes: float
    connections: int

    def per(self, before: "Counts", webhooks: int) -> "Counts":
        """Share what was done since an earlier count among webhooks."""
        return Counts(
            transactions=(self.transactions - before.transactions) / webhooks,
            inserted=(self.inserted - before.inserted) / webhooks,
            updated=(self.updated - before.updated) / webhooks,
            wal_bytes=(self.wal_bytes - before.wal_bytes) / webhooks,
            connections=self.connections,
        )


def counted(store: Store) -> Counts:
    """Ask the server, once it has heard of everything."""
    time.sleep(_LATE)
    with store.read() as tx:
        row = tx.connection.exec_driver_sql(_COUNTS).one()
    names = ("transactions", "inserted", "updated", "wal_bytes", "connections")
    return Counts(**dict(zip(names, row, strict=True)))


def costs(folder: Path) -> Iterator[tuple[str, Counts]]:
    """Run the whole program, one webhook after another and as many as it takes."""
    with Sender() as sender, Sink(0) as sink:
        settings = Settings(processes=2, threads=16, iterable_url=sink.url)
        program = shared.bridge(settings, folder, delivers=True)
        url = program.environment["DATABASE_URL"]
        with (
            programs.started(program, folder) as running,
            closing(open_store(url)) as store,
        ):
            warm = Order(port=running.port, run=1, count=300, connections=64)
            _carry(sender, sink, warm)
            for name, order in (
                ("20 a second", replace(warm, run=2, count=400, rate=20)),
                ("saturated", replace(warm, run=3, count=4000)),
            ):
                before = counted(store)
                _carry(sender, sink, order)
                yield name, counted(store).per(before, order.count)


def _carry(sender: Sender, sink: Sink, order: Order) -> None:
    sender.build(order)
    sink.ask("reset", prefix=envelopes.users_of(order.run))
    sender.go(order)
    sink.expect(order.count, 60)


@contextmanager
def filled(folder: Path, rows: int) -> Iterator[str]:
    """Fill a ledger on a server of its own; yield its URL."""
    cluster = postgres.cluster(folder)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, cluster.socket)
        stack.enter_context(postgres.running(cluster))
        given = ["--rows", str(rows), "--waiting", str(2 * TIMES * CLAIMED)]
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            ledger.main(["--database-url", cluster.url, *given])
        # As the server would do by itself in a while; not within a transaction.
        with closing(open_store(cluster.url)) as store, store.read() as tx:
            for statement in ("COMMIT", "VACUUM (ANALYZE)", "BEGIN"):
                tx.connection.exec_driver_sql(statement)
        yield cluster.url


def times(url: str, folder: Path) -> Mapping[str, float]:
    """Time the statements of every webhook, in milliseconds."""
    settings = Settings(processes=1, threads=1, iterable_url="http://127.0.0.1:9")
    program = programs.bridge(settings, folder, delivers=False)
    environment = {**program.environment, "DATABASE_URL": url}
    bridge = build(load(folder / "config.yaml", environment))
    template, mark = envelopes.template(), envelopes.MARK.encode()
    bodies = (
        template.replace(mark, f"{0:04x}{index:08x}".encode())
        for index in range(TIMES + 1)
    )
    with closing(bridge.store) as store:
        routes = _routes(store)
        return {
            "store one webhook": _timed(
                lambda: bridge.intake.receive(Capture(body=next(bodies)))
            ),
            f"claim {CLAIMED}": _timed(lambda: _claim(store, routes)),
        }


def _routes(store: Store) -> list[str]:
    with store.read() as tx:
        rows = tx.connection.exec_driver_sql("SELECT DISTINCT route FROM deliveries")
        return [row[0] for row in rows]


def _claim(store: Store, routes: Sequence[str]) -> None:
    with store.write() as tx:
        claims = store.queue.claim(tx, routes, Lane.FRESH, CLAIMED, LEASE, new_id())
    if len(claims) != CLAIMED:
        sys.exit(f"only {len(claims)} deliveries were due")


def _timed(do: Callable[[], Any]) -> float:
    do()
    spent = []
    for _ in range(TIMES):
        began = time.perf_counter()
        do()
        spent.append(time.perf_counter() - began)
    return 1000 * median(spent)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling", description=__doc__
    )
    add = parser.add_argument
    add("--rows", type=int, nargs="*", default=[10_000, 1_000_000])
    add("--folder", type=Path, default=RESULTS, help="for databases")
    return parser.parse_args(arguments)


def _show_costs(folder: Path) -> None:
    print(f"{'per webhook':<14}commits  inserted  updated  WAL bytes  connections")
    for name, one in costs(folder):
        print(
            f"{name:<14}{one.transactions:7.2f}{one.inserted:10.2f}{one.updated:9.2f}"
            f"{one.wal_bytes:11,.0f}{one.connections:13}",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    machine.confine()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options.folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _show_costs(Path(folder))
        for rows in options.rows:
            with (
                tempfile.TemporaryDirectory(dir=options.folder) as name,
                filled(Path(name), rows) as url,
            ):
                for what, spent in times(url, Path(name)).items():
                    print(f"{rows:>12,} rows: {what:<20}{spent:8.2f} ms", flush=True)
    except BridgeError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
