"""A process of its own beside a test: it does to a store what its arguments say.

`add URL COUNT` stores one webhook COUNT times from 16 threads, `claim URL` claims all
there is, `hold PATH` holds a lock file until its standard input ends.
"""

import fcntl
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from bridge.model import Arrival, Capture, EventStatus, Lane, NewDelivery
from bridge.store import new_id, open_store

KEEP = timedelta(days=30)


def same_webhook() -> Arrival:
    key = "pub:pub_same:v_same"
    delivery = NewDelivery(
        id=new_id(),
        route="r",
        route_names=("r",),
        endpoint="email/target",
        key=key,
        keys=((key, KEEP),),
        recipient="u1",
        customer_id=None,
        codes=("CODE",),
        campaign=None,
    )
    return Arrival(
        id=new_id(),
        capture=Capture(body=b"{}"),
        transport_key="whs_same",
        is_hashed=False,
        kind="project",
        event_type="voucher.published",
        status=EventStatus.STORED,
        deliveries=(delivery,),
    )


def add(url: str, count: str) -> None:
    store = open_store(url)
    with ThreadPoolExecutor(16) as threads:
        tries = [
            threads.submit(store.commits.add, same_webhook(), timeout=30)
            for _ in range(int(count))
        ]
        print(*(one.result().status.value for one in tries))
    store.close()


def claim(url: str) -> None:
    store, token = open_store(url), new_id()
    lease = timedelta(minutes=1)
    while True:
        with store.write(timeout=30) as tx:
            claims = store.queue.claim(tx, ["r"], Lane.FRESH, 3, lease, token)
        if not claims:
            break
        print(*(one.delivery_id for one in claims))
    store.close()


def hold(path: str) -> None:
    with Path(path).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        print("held", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    doings: dict[str, Callable[..., None]] = {"add": add, "claim": claim, "hold": hold}
    doings[sys.argv[1]](*sys.argv[2:])
