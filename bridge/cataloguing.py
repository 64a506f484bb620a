"""Notes down, beside the deliveries being sent, by which words they are found."""

from datetime import timedelta
from threading import Event, Thread

from bridge import log as logs
from bridge.errors import StoreUnavailable
from bridge.store import Ledger

log = logs.get(__name__)

#: A delivery's id is made before it is stored, perhaps by another machine's clock.
MARGIN = timedelta(seconds=30)
#: Seconds between two steps while there is much to note: receivers write meanwhile.
BUSY = 0.05
#: Seconds between two looks while there is little.
IDLE = 5.0


def start(ledger: Ledger, stop: Event) -> Thread:
    """Note words in a thread of its own until told to stop."""

    def work() -> None:
        wait = 0.0
        while not stop.wait(wait):
            wait = BUSY if _note(ledger) else IDLE

    thread = Thread(target=work, name="cataloguing", daemon=True)
    thread.start()
    return thread


def _note(ledger: Ledger) -> bool:
    try:
        return ledger.note_words(MARGIN)
    except StoreUnavailable as error:
        # Nothing waits for it: a search walks over what is not noted yet.
        log.debug("store.unavailable", reason=error.reason)
        return False
