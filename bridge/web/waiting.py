"""How long a request waited for a thread, which is part of its time to be stored."""

import time
from typing import TYPE_CHECKING

from bridge.errors import StoreUnavailable
from bridge.intake import STORE_TIMEOUT
from bridge.server.exchange import WHOLE_AT

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


def time_left(environ: "WSGIEnvironment") -> float:
    """Return in how many seconds a request must be stored.

    Args:
        environ: As the server made it. Where that does not say when the request was
            whole, it was now.

    Raises:
        StoreUnavailable: There are none left.
    """
    now = time.monotonic()
    waited: float = now - environ.get(WHOLE_AT, now)
    if waited >= STORE_TIMEOUT:
        raise StoreUnavailable(f"the request waited {waited:.1f} s for a thread")
    return STORE_TIMEOUT - waited
