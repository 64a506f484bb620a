"""An HTTP client in a process of its own, monkey-patched as the delivering process is.

Each line on stdin is a JSON list of calls that are made at the same time; each line on
stdout is the list of what came of them. `Patched` is the test's side of it.
"""

import sys

if __name__ == "__main__":
    from gevent import monkey

    monkey.patch_all()

import json
import socket
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import gevent
from gevent.pool import Pool

from bridge import errors
from bridge.http import HttpClient, Reply

#: Names that only the patched process resolves: seconds it takes, and addresses.
HOSTS = {
    "slow.example": (20.0, ["127.0.0.1"]),
    "two.example": (0.0, ["127.0.0.2", "127.0.0.1"]),
}


class Patched:
    """Starts the process and makes calls through it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.patched_client"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def post(self, url: str, body: str = "{}", **options: Any) -> Reply:
        """Post once; raises what the client raised."""
        (answer,) = self.calls([{"url": url, "body": body, **options}])
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["reason"])
        return Reply(**(answer | {"body": answer["body"].encode("latin-1")}))

    def calls(self, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Make several calls at the same time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(calls) + "\n")
        self._process.stdin.flush()
        answers: list[dict[str, Any]] = json.loads(self._process.stdout.readline())
        return answers

    def disconnect(self) -> None:
        """Close every connection that is kept."""
        self.calls([])

    def stop(self) -> None:
        """End the process."""
        self._process.communicate(timeout=20)


class _Server:
    """The other side: a client for each of the test's servers."""

    def __init__(self) -> None:
        self._clients: dict[str, HttpClient] = {}
        self._lookup = socket.getaddrinfo
        socket.getaddrinfo = self._resolve  # type: ignore[assignment] # in a test

    def serve(self) -> None:
        pool = Pool(100)
        for line in sys.stdin:
            calls = json.loads(line)
            if not calls:
                for client in self._clients.values():
                    client.close()
                self._clients.clear()
            print(json.dumps(pool.map(self._call, calls)), flush=True)

    def _resolve(self, host: str, *args: Any, **options: Any) -> Any:
        seconds, addresses = HOSTS.get(host, (0.0, [host]))
        if seconds:
            gevent.sleep(seconds)
        found = [self._lookup(name, *args, **options) for name in addresses]
        return [one for several in found for one in several]

    def _client(self, url: str, options: dict[str, Any]) -> HttpClient:
        if "max_idle" in options:
            options["max_idle"] = timedelta(seconds=options["max_idle"])
        name = f"{url.split('/')[2]} {options}"
        if name not in self._clients:
            self._clients[name] = HttpClient(**options)
        return self._clients[name]

    def _call(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        facts = dict(wanted)
        client = self._client(facts["url"], facts.pop("client", {}))
        if facts.pop("close", False):
            client.close()
        try:
            reply = client.call(
                "POST",
                facts.pop("url"),
                headers=facts.pop("headers", {"Api-Key": "key-0123456789"}),
                body=facts.pop("body").encode(),
                timeout=timedelta(seconds=facts.pop("timeout", 20)),
                **facts,
            )
        except errors.TransportError as error:
            return {"error": type(error).__name__, "reason": error.reason}
        return {
            "status": reply.status,
            "headers": reply.headers,
            "body": reply.body.decode("latin-1"),
            "is_truncated": reply.is_truncated,
        }


if __name__ == "__main__":
    _Server().serve()
