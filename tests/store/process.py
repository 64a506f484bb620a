"""A process of its own beside a test: it does to a store what its arguments say.

`add URL COUNT` stores one webhook COUNT times from 16 threads, `claim URL` claims all
there is, `hold PATH` holds a lock file until its standard input ends, `die URL` is
killed in the middle of a write, `fill URL` writes to a disk that is full and then not.
"""

import fcntl
import os
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from bridge.errors import StoreUnavailable
from bridge.store import Store, circuits, new_id, open_store, queue
from bridge.store.ingest import ingest
from tests.store.conftest import new_delivery, new_event


def add(url: str, count: str) -> None:
    store = open_store(url)
    group = store.group(ingest)

    def one(_: int) -> str:
        event = new_event(new_delivery(), transport_key="whs_same")
        return group.add((event, None), 30).status.value

    with ThreadPoolExecutor(16) as threads:
        print(*threads.map(one, range(int(count))))
    store.close()


def claim(url: str) -> None:
    store, lease = open_store(url), timedelta(minutes=1)
    claimed = True
    while claimed:
        claimed = False
        with store.write(timeout=30) as tx:
            for fresh in (True, False):
                claims = queue.claim(
                    tx, ["r"], is_fresh=fresh, limit=3, lease=lease, token=new_id()
                )
                print(*(one.delivery_id for one in claims))
                claimed = claimed or bool(claims)
    store.close()


def hold(path: str) -> None:
    with Path(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        print("held", flush=True)
        sys.stdin.read()


def die(url: str) -> None:
    with open_store(url).write() as tx:
        circuits.pause(tx, "route:r", "half done")
        os.kill(os.getpid(), 9)


def fill(url: str) -> None:
    store = open_store(url)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    print("rejected" if not _stores_one(store) else "stored")
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    print("rejected" if not _stores_one(store) else "stored")
    store.close()


def _stores_one(store: Store) -> bool:
    try:
        with store.write(timeout=1) as tx:
            ingest(tx, [(new_event(), None)])
    except StoreUnavailable:
        return False
    return True


if __name__ == "__main__":
    doings: dict[str, Callable[..., None]] = {
        "add": add,
        "claim": claim,
        "hold": hold,
        "die": die,
        "fill": fill,
    }
    doings[sys.argv[1]](*sys.argv[2:])
