"""Sender and sink as seen from the harness: one process each, orders in, facts out."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from dataclasses import asdict
from typing import Any, Self

from benchmarks.programs import ROOT
from benchmarks.sender import STALL, Order


class PeerError(Exception):
    """Sender or sink did not do what it was asked."""


class _Peer:
    """A child process that answers a JSON line with a JSON line."""

    def __init__(self, module: str, *arguments: str, fd: int | None = None) -> None:
        self._rest = b""
        self._child = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=() if fd is None else (fd,),
        )
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._in, self._out = self._child.stdin, self._child.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._in.close()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        self._out.close()

    def tell(self, line: str) -> None:
        self._in.write(line.encode() + b"\n")
        self._in.flush()

    def hear(self, seconds: float) -> dict[str, Any]:
        """Wait for the next line.

        Raises:
            PeerError: None came in time, or it tells of a failure.
        """
        until = time.monotonic() + seconds
        while b"\n" not in self._rest:
            left = max(0.0, until - time.monotonic())
            if not select.select([self._out], [], [], left)[0]:
                raise PeerError(f"not done within {seconds:.0f} s")
            got = os.read(self._out.fileno(), 1 << 20)
            if not got:
                raise PeerError("sender or sink ended unasked")
            self._rest += got
        line, _, self._rest = self._rest.partition(b"\n")
        facts: dict[str, Any] = json.loads(line)
        if "error" in facts:
            raise PeerError(facts["error"])
        return facts


class Sender(_Peer):
    """Posts webhooks."""

    def __init__(self) -> None:
        super().__init__("sender")

    def build(self, order: Order) -> None:
        """Have the webhooks of an order made, outside of any measurement."""
        self.tell(json.dumps(asdict(order)))
        self.hear(60)

    def go(self, order: Order) -> dict[str, Any]:
        """Carry out the order just built; returns a `Tally` as a dict."""
        self.tell("go")
        return self.hear(order.seconds + 2 * STALL)


class Sink(_Peer):
    """Answers as Iterable.

    Args:
        latency: Seconds between a request and its answer.
        port: Where to listen; 0 takes a free one.
    """

    def __init__(self, latency: float, port: int = 0) -> None:
        with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
            self.port = listener.getsockname()[1]
            fd = listener.fileno()
            super().__init__("sink", str(fd), str(latency), fd=fd)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, what: str, **more: object) -> dict[str, Any]:
        """Reset the sink, look at its counts, or fetch who arrived when."""
        self.tell(json.dumps({"do": what, **more}))
        return self.hear(30)

    def expect(self, count: int, seconds: float) -> dict[str, Any]:
        """Wait until so many different recipients have been told."""
        self.tell(json.dumps({"do": "expect", "count": count}))
        return self.hear(seconds)
