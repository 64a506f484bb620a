"""The processes of `serve` and `worker`; `bridge.server.programs` runs them.

This module imports nothing at first: `patch` has to come before everything it patches.
"""

from collections.abc import Callable


def in_native_thread(function: Callable[[], None]) -> Callable[[], object]:
    """Start a function in a native thread; the returned function waits for it.

    Only the calling greenlet waits: a commit on SQLite would block all of them.
    """
    from gevent import get_hub  # noqa: PLC0415 - as below

    wait: Callable[[], object] = get_hub().threadpool.spawn(function).get
    return wait


def patch() -> None:
    """Make sockets, locks and threads of this process gevent's.

    To be called before anything else is imported. Forks and signals stay Python's: the
    supervisor and gunicorn's master only watch processes.
    """
    from gevent import monkey  # noqa: PLC0415 - so that other commands need not load it

    monkey.patch_all(os=False, signal=False, subprocess=False)
