"""A monkey-patched process beside `test_gevent`: prints what happened as JSON."""

# ruff: noqa: E402 - patching comes first

from gevent import monkey

monkey.patch_all()

import json
import sys
from datetime import datetime

import gevent
from sqlalchemy import text

from bridge.store import Store, Transaction, circuits, open_store
from bridge.store.database import host_clock
from bridge.store.ingest import ingest
from tests.store.conftest import new_delivery, new_event

#: The clock's answers, one for each transaction.
reads: list[datetime] = []


def clock() -> datetime:
    reads.append(host_clock())
    return reads[-1]


def together(store: Store) -> dict[str, int]:
    group = store.group(ingest)

    def one(number: int) -> str:
        event = new_event(new_delivery(f"pub:p:{number}"))
        return group.add((event, None)).status.value

    with store.write():
        several = [gevent.spawn(one, number) for number in range(200)]
        gevent.sleep(0.05)
    before = len(reads)
    gevent.joinall(several, raise_error=True)
    stored = sum(each.value == "stored" for each in several)
    return {"stored": stored, "transactions": len(reads) - before}


def killed(store: Store) -> dict[str, int]:
    group, count = store.group(ingest), 0
    with store.write():
        leader = gevent.spawn(group.add, (new_event(), None))
        gevent.sleep(0.01)
        follower = gevent.spawn(group.add, (new_event(), None))
        gevent.sleep(0.01)
        for each in (leader, follower):
            each.kill()
            count += 1
    try:
        with gevent.Timeout(0.2), store.write() as tx:
            circuits.pause(tx, "route:r", "half done")
            wait_in(tx)
    except gevent.Timeout:
        count += 1
    group.add((new_event(), None), 2.0)
    with store.write(2.0) as tx:
        # The killed transaction no longer holds the row it made.
        is_running = circuits.get(tx, "route:r").is_running
        return {
            "killed": count,
            "stored": count_events(tx),
            "paused": int(not is_running),
        }


def wait_in(tx: Transaction) -> None:
    if tx.is_concurrent:
        tx.connection.execute(text("SELECT pg_sleep(30)"))
    gevent.sleep(30)


def count_events(tx: Transaction) -> int:
    found = tx.connection.execute(text("SELECT count(*) FROM events"))
    return int(found.scalar_one())


if __name__ == "__main__":
    case, url = sys.argv[1:]
    pool = gevent.get_hub().threadpool
    opened = open_store(url, clock, start=lambda run: pool.spawn(run).get)
    cases = {"together": together, "killed": killed}
    result = cases[case](opened)
    opened.close()
    print(json.dumps(result))
