"""Keeps the ledger's log short, beside the deliveries being sent."""

from threading import Event, Thread

from bridge import log as logs
from bridge.errors import StoreUnavailable
from bridge.store import Store

log = logs.get(__name__)

#: Between two looks, in seconds.
EVERY = 0.5


def start(store: Store, stop: Event) -> Thread:
    """Shorten it in a thread of its own until told to stop."""

    def work() -> None:
        while not stop.wait(EVERY):
            try:
                store.shorten_log()
            except StoreUnavailable as error:
                # Whoever writes next shortens it instead, when it is much longer.
                log.debug("store.unavailable", reason=error.reason)

    thread = Thread(target=work, name="shortening", daemon=True)
    thread.start()
    return thread
