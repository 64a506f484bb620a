"""`python -m benchmarks.budget`: where the CPU time of one webhook goes, part by part.

Both paths are walked in one thread, in the batches they have under load, each part by
the program's own code. Beside each stands a floor: the least that could do that part's
job, measured in the same run. Threads, processes and the kernel's waiting are left out;
the difference to what `python -m benchmarks` measures is theirs.
"""

import argparse
import hashlib
import hmac
import json
import os
import socket
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from gunicorn.config import Config as GunicornConfig

from benchmarks import envelopes, machine, programs
from benchmarks.peers import Sink
from benchmarks.programs import Settings
from bridge import bootstrap, config, log, voucherify
from bridge.config import Config
from bridge.dispatch import Dispatch, Result
from bridge.http import Progress
from bridge.model import Arrival, Capture, Claim, Lane
from bridge.rendering import Payload
from bridge.senders import Task
from bridge.senders.open_sends import OpenSends
from bridge.server.connection import Outbox
from bridge.server.exchange import Exchange
from bridge.server.framing import Inbox
from bridge.server.reception import Limits
from bridge.server.settings import Receivers
from bridge.store import Store, new_id
from bridge.store.arrivals import write_arrivals
from bridge.web import create_app
from bridge.worker.telling import tell

WEBHOOKS, BATCH = 3200, 16
#: Of many measurements that others disturbed, the one that a tenth undercut.
QUIET = 10
MICRO = 1e6
MAX_BODY = 1 << 22
LEASE = timedelta(seconds=60)
ADDRESS = ("127.0.0.1", 8000)


class Meter:
    """CPU microseconds for each webhook, by part."""

    def __init__(self) -> None:
        self._samples: dict[str, list[float]] = defaultdict(list)

    @contextmanager
    def part(self, name: str, count: int = BATCH) -> Iterator[None]:
        """Measure a block that does a part of so many webhooks."""
        began = time.process_time()
        yield
        self._samples[name].append((time.process_time() - began) / count * MICRO)

    def take(self, name: str, microseconds: float) -> None:
        """Take from the last measurement of a part what was measured as another."""
        self._samples[name][-1] -= microseconds

    def quiet(self, name: str) -> float:
        """Return what a part costs where nobody disturbs it."""
        found = sorted(self._samples[name])
        return found[len(found) // QUIET]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table: parts added up, and what they could not do without."""

    title: str
    parts: tuple[str, ...]
    without: tuple[str, ...] = ()
    floor: str | None = None


RECEIVE = (
    Line(title="HTTP: head and body", parts=("framing",), floor="split"),
    Line(title="WSGI environment and answer", parts=("environ", "answer")),
    Line(
        title="from environment to view and back",
        parts=("view",),
        without=("verify", "decide"),
    ),
    Line(title="verify the signature", parts=("verify",), floor="hmac"),
    Line(title="parse", parts=("parse",), floor="loads"),
    Line(title="normalise, route, keys", parts=("decide",), without=("parse",)),
    Line(title="store: three tables", parts=("store",), floor="insert"),
    Line(title="commit", parts=("commit",), floor="bare commit"),
)
DELIVER = (
    Line(title="claim, gates, slots", parts=("claim",), floor="update"),
    Line(title="parse again", parts=("parse",), floor="loads"),
    Line(title="find, identify, render", parts=("prepare",), without=("parse",)),
    Line(title="send and classify", parts=("send",), floor="socket"),
    Line(title="settle, note the attempt", parts=("settle",), floor="update"),
    Line(title="commit", parts=("round's commit",), floor="bare commit"),
    Line(title="log line", parts=("tell",)),
)


class _Peer:
    """As much of a connection as an exchange looks at."""

    client, server = ("127.0.0.1", 50000), ADDRESS

    def __init__(self, settings: GunicornConfig, data: bytes) -> None:
        self.sock = Outbox()
        self.sock.whole_at = time.monotonic()
        self.inbox = Inbox(settings, self.client, MAX_BODY)
        self.inbox.feed(data)
        self.request: Any = None


def receive(meter: Meter, loaded: Config, requests: Sequence[bytes]) -> None:
    """Walk the way in, up to the answer, without the store."""
    bridge = bootstrap.build(loaded)
    app = create_app(bridge)
    settings = Receivers(lambda: app, fd=0, processes=1, threads=1, limits=Limits()).cfg
    for batch in _batches(requests):
        peers = [_Peer(settings, one) for one in batch]
        with meter.part("framing"):
            for peer in peers:
                peer.request = peer.inbox.next()
        with meter.part("environ"):
            exchanges: list[Any] = [
                Exchange(peer, settings, keeps=True)  # type: ignore[arg-type]
                for peer in peers
            ]
        with meter.part("view"):
            for one in exchanges:
                one.begin(app)
        # The first waits for the commit of all, which is measured below.
        exchanges[0].finish()
        with meter.part("answer", BATCH - 1):
            for one in exchanges[1:]:
                one.finish()
    bridge.store.close()


def decide(meter: Meter, loaded: Config, bodies: Sequence[bytes]) -> list[Arrival]:
    """Walk the pure middle of the way in."""
    intake = bootstrap.build(loaded).intake
    signatures = [voucherify.sign(body, envelopes.SECRET) for body in bodies]
    arrivals: list[Arrival] = []
    for batch in _batches(list(zip(bodies, signatures, strict=True))):
        with meter.part("verify"):
            for body, signature in batch:
                voucherify.verify(body, signature, [envelopes.SECRET])
        captures = [Capture(body=body) for body, _ in batch]
        with meter.part("parse"):
            for one in captures:
                voucherify.parse(one)
        with meter.part("decide"):
            arrivals += [intake.decide(one) for one in captures]
    return arrivals


def keep(meter: Meter, store: Store, arrivals: Sequence[Arrival]) -> None:
    """Walk the store's part of the way in."""
    for batch in _batches(arrivals):
        with meter.part("commit"), store.write() as tx:
            began = time.process_time()
            with meter.part("store"):
                write_arrivals(tx, [(one, None) for one in batch])
            inner = time.process_time() - began
        meter.take("commit", inner / BATCH * MICRO)


def deliver(meter: Meter, loaded: Config, store: Store, count: int) -> None:
    """Walk the way out."""
    dispatch = Dispatch(
        loaded,
        bootstrap.templates(loaded),
        bootstrap.client(loaded, 1),
        Random(1),
        bootstrap.now,
    )
    results: list[Result] = []
    sends = OpenSends()
    for _ in range(count // BATCH):
        claims = _round(meter, store, loaded, results)
        results = []
        for claim in claims:
            with meter.part("prepare", 1):
                payload = dispatch.prepare(claim)
            assert isinstance(payload, Payload), payload
            with meter.part("send", 1):
                results.append(_send(dispatch, sends, claim, payload))
        with meter.part("tell"):
            for result in results:
                tell(result)


def _send(
    dispatch: Dispatch, sends: OpenSends, claim: Claim, payload: Payload
) -> Result:
    sending = dispatch.begin(claim, payload)
    if sending is None:
        return dispatch.send(claim, payload)
    sends.add(Task(claim=claim, slot=0, latest=0), sending)
    while True:
        for one in sends.wait():
            if one.sending.call.look() is not Progress.WAITING:
                sends.remove(one)
                return dispatch.finish(sending)


def _round(
    meter: Meter, store: Store, loaded: Config, results: Sequence[Result]
) -> list[Claim]:
    rate = loaded.iterable.rate_per_second
    names = [route.name for route in loaded.routes]
    with meter.part("round's commit"), store.write() as tx:
        began = time.process_time()
        with meter.part("settle"):
            store.queue.settle(tx, [one.settlement for one in results])
        with meter.part("claim"):
            gates = store.gates.read(tx)
            store.gates.free_slots(tx, rate, LEASE, gates)
            token = new_id()
            claims = store.queue.claim(tx, names, Lane.FRESH, BATCH, LEASE, token)
            store.gates.take_slots(tx, len(claims), rate, gates)
        inner = time.process_time() - began
    meter.take("round's commit", inner / BATCH * MICRO)
    return claims


def floors(meter: Meter, folder: Path, sink: Sink, requests: Sequence[bytes]) -> None:
    """Measure the least that could do each part's job."""
    database = sqlite3.connect(folder / "floor.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE one (id BLOB PRIMARY KEY, body BLOB, state TEXT)")
    for number, batch in enumerate(_batches(requests)):
        with meter.part("split"):
            heads = [one.partition(b"\r\n\r\n") for one in batch]
            for head, *_ in heads:
                head.split(b"\r\n")
        bodies = [body for *_, body in heads]
        with meter.part("hmac"):
            for body in bodies:
                hmac.digest(b"secret", body, hashlib.sha256)
        with meter.part("loads"):
            for body in bodies:
                json.loads(body)
        rows = [(b"%d.%d" % (number, at), body) for at, body in enumerate(bodies)]
        database.execute("BEGIN IMMEDIATE")
        with meter.part("insert"):
            database.executemany("INSERT INTO one VALUES (?, ?, 'new')", rows)
        with meter.part("update"):
            database.executemany(
                "UPDATE one SET state = 'done' WHERE id = ?", [row[:1] for row in rows]
            )
        with meter.part("bare commit"):
            database.execute("COMMIT")
    database.close()
    _talk(meter, sink, bodies[0])


def _talk(meter: Meter, sink: Sink, body: bytes) -> None:
    head = b"POST /api HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", sink.port)) as peer:
        for _ in range(WEBHOOKS):
            with meter.part("socket", 1):
                peer.sendall(head + body)
                peer.recv(65536)


def _batches(several: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(several), BATCH):
        yield several[start : start + BATCH]


def table(meter: Meter, lines: Sequence[Line]) -> Iterator[str]:
    """Write one path's rows, and their sums, as Markdown."""
    sums = [0.0, 0.0]
    for line in lines:
        cost = sum(map(meter.quiet, line.parts)) - sum(map(meter.quiet, line.without))
        floor = None if line.floor is None else meter.quiet(line.floor)
        sums = [sums[0] + cost, sums[1] + (floor or 0)]
        least = "" if floor is None else f"{floor:.0f}"
        yield f"| {line.title} | {cost:.0f} | {least} |"
    yield f"| **together** | **{sums[0]:.0f}** | **{sums[1]:.0f}** |"


def measure(folder: Path, sink: Sink) -> Meter:
    """Walk everything once."""
    meter = Meter()
    settings = Settings(processes=1, threads=1, iterable_url=sink.url)
    loaded = _loaded(settings, folder)
    bootstrap.prepare(loaded)
    store = bootstrap.build(loaded).store
    requests = envelopes.requests(2 * WEBHOOKS, run=1, port=ADDRESS[1])
    bodies = [one.partition(b"\r\n\r\n")[2] for one in requests]
    floors(meter, folder, sink, requests[:WEBHOOKS])
    keep(meter, store, decide(meter, loaded, bodies[:WEBHOOKS]))
    deliver(meter, loaded, store, WEBHOOKS)
    receive(meter, loaded, requests[WEBHOOKS:])
    store.close()
    return meter


def _loaded(settings: Settings, folder: Path) -> Config:
    program = programs.bridge(settings, folder, delivers=True)
    path = folder / "config.yaml"
    return config.load(path, program.environment, "receive", "deliver")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.budget", description=__doc__
    )
    parser.add_argument("--folder", type=Path, default=Path(__file__).parent)
    options = parser.parse_args(arguments)
    machine.confine()
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix="run-") as name,
        Sink(0) as sink,
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        redirect_stderr(nowhere),
    ):
        log.setup("INFO", "json")
        meter = measure(Path(name), sink)
    for title, lines in (("receive", RECEIVE), ("deliver", DELIVER)):
        print(f"| {title}, CPU µs a webhook | bridge | floor |\n|---|---:|---:|")
        print("\n".join(table(meter, lines)) + "\n")
    print(f"fsyncs a webhook: 2 transactions of {BATCH}, so {2 / BATCH:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
