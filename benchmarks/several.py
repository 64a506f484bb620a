"""`python -m benchmarks.several -- COMMAND… [-- COMMAND…]`: several as one program.

They are started together and ended together: on SIGTERM, and when one of them ends.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

#: Seconds from SIGTERM to SIGKILL.
PATIENCE = 10.0


def commands(words: list[str]) -> Iterator[list[str]]:
    """Cut the words at each `--`."""
    while words:
        rest = words[1:]
        end = rest.index("--") if "--" in rest else len(rest)
        yield rest[:end]
        words = rest[end:]


def main() -> int:
    # Sockets that were passed on are meant for whichever of them is told the number.
    children = [
        subprocess.Popen(one, close_fds=False) for one in commands(sys.argv[1:])
    ]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        ended, _ = os.wait()
        print(f"process {ended} has ended", file=sys.stderr)
        return 1
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                child.terminate()
        for child in children:
            try:
                child.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


if __name__ == "__main__":
    sys.exit(main())
