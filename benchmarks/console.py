"""`python -m benchmarks.console`: how long each page of the console takes.

On a ledger that `python -m benchmarks.ledger` filled. The program runs as it is run;
each page is asked for several times. The slowest counts, but for the first answer: a
process that was never asked before compiles its questions and templates.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from bridge.model import DeliveryStatus
from bridge.store import DeliveryFilter, open_store

ROOT = Path(__file__).parents[1]
PASSWORD = "a-console-password"
#: Milliseconds a page may take.
GOAL = 300
TIMES = 5


def main() -> int:
    """Print a line for each page; fail where one is too slow."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.console")
    parser.add_argument("--database-url", required=True, help="a filled ledger")
    url = parser.parse_args().database_url
    store = open_store(url)
    rows = store.ledger.deliveries(DeliveryFilter(limit=20_000))
    old = rows[-1]
    store.close()
    pages = {
        "overview": "/console/",
        "deliveries": "/console/deliveries",
        "deliveries, an old page": f"/console/deliveries?after={old.id}",
        **{
            f"deliveries, {one}": f"/console/deliveries?status={one}"
            for one in DeliveryStatus
        },
        "deliveries, a route": f"/console/deliveries?route={old.route}",
        "deliveries, both": f"/console/deliveries?route={old.route}&status=dead",
        "deliveries, a day": "/console/deliveries?since=24h",
        "search, a code": f"/console/deliveries?search={old.code}",
        "search, a recipient": f"/console/deliveries?search={old.recipient}",
        "search, a customer": f"/console/deliveries?search={old.customer_id}",
        "search, a campaign": f"/console/deliveries?search={old.campaign}",
        "search, a beginning": f"/console/deliveries?search={old.code[:3]}",
        "search, an id": f"/console/deliveries?search={old.id}",
        "search, nothing": "/console/deliveries?search=NOBODY-HAS-THIS",
        "search in a state": f"/console/deliveries?search={old.campaign}&status=held",
        "story": f"/console/deliveries/{old.id}",
        "events": "/console/events",
        "events, parked": "/console/events?status=parked",
        "event": f"/console/events/{old.event_id}",
        "bulk, a plan": "/console/bulk?action=redeliver&status=dead",
        "template": "/console/templates/triggered_email.json.j2",
        "routes": "/console/routes",
        "metrics": "/metrics",
    }
    slow = 0
    with _serving(url) as (address, session):
        for name, path in pages.items():
            times = [_took(session, address + path) for _ in range(TIMES)]
            slow += max(times[1:]) > GOAL
            print(f"{name:28} {min(times):7.0f} ms  slowest {max(times):5.0f}")
    return 1 if slow else 0


def _took(session: requests.Session, url: str) -> float:
    began = time.perf_counter()
    answer = session.get(url, timeout=60)
    answer.raise_for_status()
    return (time.perf_counter() - began) * 1000


@contextmanager
def _serving(url: str) -> Iterator[tuple[str, requests.Session]]:
    env = {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": url,
        "BRIDGE_CONFIG": str(ROOT / "config.example.yaml"),
        "VOUCHERIFY_WEBHOOK_SECRET": "benchmark",
        "BRIDGE_CONSOLE_PASSWORD": PASSWORD,
        "ITERABLE_BASE_URL": "http://127.0.0.1:9",
        "ITERABLE_API_KEY": "benchmark",
        **{name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ},
    }
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        bind = ("--bind", f"fd://{listener.fileno()}", "--processes", "1")
        command = [sys.executable, "-m", "bridge", "serve", *bind, "--no-deliver"]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                command, env=env, pass_fds=[listener.fileno()], stderr=log
            )
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            try:
                yield address, _entered(address)
            finally:
                process.terminate()
                process.wait(30)


def _entered(address: str) -> requests.Session:
    session = requests.Session()
    door = f"{address}/console/enter"
    page = session.get(door, timeout=60).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    if token is None:
        sys.exit("the console does not open")
    fields = {"password": PASSWORD, "csrf_token": token[1]}
    session.post(door, data=fields, timeout=60).raise_for_status()
    return session


if __name__ == "__main__":
    sys.exit(main())
