"""`/metrics` of the whole program: right across processes, quick, and not for all."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
import requests

from bridge import metrics
from tests.e2e.figures import Series, scrape
from tests.e2e.program import ROOT, Program, envelope, wait_for

pytestmark = pytest.mark.e2e

WEBHOOKS = 40


def receivers(program: Program) -> list[int]:
    """Find the receiving processes: those that gunicorn says it booted."""
    return [
        int(one) for one in re.findall(r"Booting worker with pid: (\d+)", program.log)
    ]


def settled(program: Program) -> Series:
    return {
        key: value
        for key, value in scrape(program.url)["bridge_settled_deliveries_total"].items()
        if value
    }


def test_every_process_tells_what_all_have_counted(program: Program) -> None:
    program.start("--processes", "3")
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(program.post, map(envelope, range(WEBHOOKS)))
        assert {one.status_code for one in answers} == {202}
    assert program.post(envelope(0)).json()["status"] == "duplicate"
    assert program.post(b"{}", **{"x-voucherify-signature": "no"}).status_code == 401
    wait_for(lambda: settled(program) == {("all", "accepted"): WEBHOOKS})
    # Each question is a new connection, which any of the processes may take.
    for _ in range(12):
        figures = scrape(program.url)
        assert figures["bridge_webhooks_total"]["stored",] == WEBHOOKS
        assert figures["bridge_webhooks_total"]["duplicate",] == 1
        assert figures["bridge_refused_requests_total"]["not_authentic",] == 1
        assert figures["bridge_answer_seconds_count"][()] == WEBHOOKS + 1
        assert figures["bridge_commit_webhooks_sum"][()] == WEBHOOKS + 1
        assert figures["bridge_attempts_total"]["success",] == WEBHOOKS
        assert figures["bridge_iterable_call_seconds_count"][()] == WEBHOOKS
        assert figures["bridge_webhook_to_iterable_seconds_count"][()] == WEBHOOKS
        assert figures["bridge_upstream_failures_in_a_row"][()] == 1
    assert set(figures["bridge_gate_state"].values()) == {0, 1}


def test_a_killed_process_takes_no_count_with_it(program: Program) -> None:
    program.start("--processes", "1")
    assert program.post(envelope(1)).status_code == 202
    [first] = receivers(program)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: len(receivers(program)) > 1)
    assert program.post(envelope(2)).status_code == 202
    assert scrape(program.url)["bridge_webhooks_total"]["stored",] == 2


def test_what_waits_is_counted_by_route_and_state(program: Program) -> None:
    program.start("--processes", "1", "--no-deliver")
    for number in range(3):
        program.post(envelope(number))
    figures = wait_for(
        lambda: (found := scrape(program.url))["bridge_queue_depth"][()] == 3 and found
    )
    waiting = {key: one for key, one in figures["bridge_deliveries"].items() if one}
    assert waiting == {("all", "pending"): 3}
    assert figures["bridge_oldest_due_seconds"]["all",] > 0
    assert figures["bridge_store_up"][()] == 1


def test_a_store_that_cannot_be_read_shows_no_old_figures(program: Program) -> None:
    program.start("--processes", "1", "--no-deliver")
    wait_for(lambda: scrape(program.url)["bridge_store_up"][()] == 1)
    with closing(sqlite3.connect(program.folder / "bridge.db")) as database:
        database.execute("DROP TABLE gates")
    figures = wait_for(
        lambda: (found := scrape(program.url))["bridge_store_up"][()] == 0 and found
    )
    assert "bridge_queue_depth" not in figures
    assert "bridge_deliveries" not in figures


def test_a_token_is_demanded_where_one_is_set(program: Program) -> None:
    program.env["BRIDGE_METRICS_TOKEN"] = "metrics-token-1"
    program.start("--processes", "1", "--no-deliver")
    for shown, status in (("no", 401), ("metrics-token-1", 200), ("", 401)):
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        answer = requests.get(f"{program.url}/metrics", headers=headers, timeout=60)
        assert answer.status_code == status


def test_on_a_public_dyno_the_page_is_closed_without_a_token(program: Program) -> None:
    program.env |= {"DYNO": "web.1", "BRIDGE_EPHEMERAL_DISK": "accept"}
    program.start("--processes", "1", "--no-deliver")
    answer = requests.get(f"{program.url}/metrics", timeout=60)
    assert answer.status_code == 403
    assert "BRIDGE_METRICS_TOKEN" in answer.json()["detail"]


@pytest.fixture
def worker_url(program: Program) -> Iterator[str]:
    """Where a `worker` beside a receiving `serve` tells how it does."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    program.start("--processes", "1", "--no-deliver")
    worker = program.beside("worker", "--state", address)
    yield f"http://{address}"
    worker.terminate()
    worker.wait(30)


def test_a_worker_alone_tells_what_it_sent(program: Program, worker_url: str) -> None:
    program.post(envelope(1))
    wait_for(program.accepted)

    def attempts() -> float:
        try:
            return scrape(worker_url)["bridge_attempts_total"]["success",]
        except requests.ConnectionError:
            return 0

    assert wait_for(attempts) == 1
    assert requests.get(f"{worker_url}/readyz", timeout=60).json()["status"] == "ready"
    assert not any(scrape(program.url)["bridge_attempts_total"].values())


@pytest.mark.torture
def test_a_scrape_over_a_million_deliveries_takes_under_100_ms(
    program: Program,
) -> None:
    fill(program.folder, 1_000_000)
    for options in (("--no-deliver",), ()):
        program.start("--processes", "1", *options)
        wait_for(lambda: scrape(program.url)["bridge_store_up"][()] == 1)
        times = []
        for _ in range(20):
            began = time.monotonic()
            figures = scrape(program.url)
            times.append(time.monotonic() - began)
        assert sum(figures["bridge_deliveries"].values()) > 1000
        assert sorted(times)[len(times) // 2] < 0.1, times
        assert program.stop() == 0


def fill(folder: Path, deliveries: int) -> None:
    """Write a ledger as `benchmarks` has them."""
    database = f"sqlite:///{folder / 'bridge.db'}"
    command = [sys.executable, "-m", "benchmarks.ledger", "--database-url", database]
    subprocess.run([*command, "--rows", str(deliveries)], cwd=ROOT, check=True)


def test_every_figure_is_described_in_the_documentation() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(bridge_[a-z_]+)[`{]", text))
    assert told == {family.name for family in metrics.FAMILIES}
