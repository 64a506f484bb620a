"""Metrics: counted in one process or in several, shown on one page."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge import metrics
from bridge.model import DeliveryStatus, EventStatus, ReceiptResult

SEVERAL = """
import os, sys
from pathlib import Path
from bridge import metrics
from bridge.model import EventStatus
metrics.configure(Path(sys.argv[1]))
children = []
for number in range(3):
    pid = os.fork()
    if not pid:
        metrics.record_event("voucherify", "project", EventStatus.STORED)
        metrics.record_webhook_failure(is_authenticated=None)
        if not number:
            metrics.set_store_down()
        os._exit(0)
    os.waitpid(pid, 0)
    if number:
        continue
    assert b"bridge_store_up 0.0" in metrics.page()
    metrics.mark_dead(pid)
page = metrics.page().decode()
assert 'status="stored"} 3.0' in page, page
assert "bridge_webhook_consecutive_failures 3.0" in page, page
"""


@pytest.fixture(autouse=True)
def _anew(monkeypatch: pytest.MonkeyPatch) -> None:
    state = metrics._State(metrics._Families())  # noqa: SLF001 - each test counts anew
    monkeypatch.setattr(metrics, "_state", state)


def sample(name: str) -> float | None:
    for line in metrics.page().decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.rpartition(" ")[2])
    return None


def test_everything_that_is_recorded_is_on_the_page() -> None:
    metrics.record_event("voucherify", "project", EventStatus.PARKED)
    metrics.record_answer(0.02)
    metrics.record_commit(7)
    metrics.record_receipt(ReceiptResult.UNMATCHED)
    metrics.record_rejected("too_large")
    metrics.record_attempt("iterable", "SUCCESS", 0.1)
    metrics.record_result("rewards", DeliveryStatus.ACCEPTED)
    metrics.record_latency("iterable", 1.5)
    metrics.record_dropped_keys("rewards", 2)
    for name in (
        'bridge_webhooks_total{kind="project",source="voucherify",status="parked"}',
        "bridge_answer_seconds_count",
        "bridge_commit_webhooks_count",
        'bridge_receipts_total{result="unmatched"}',
        'bridge_rejected_requests_total{reason="too_large"}',
        'bridge_attempts_total{destination="iterable",outcome="success"}',
        'bridge_request_seconds_count{destination="iterable"}',
        'bridge_attempt_results_total{route="rewards",status="accepted"}',
        'bridge_delivery_latency_seconds_count{destination="iterable"}',
    ):
        assert sample(name) == 1, name
    assert sample('bridge_dropped_keys_total{route="rewards"}') == 2


def test_strangers_count_only_while_no_authenticated_webhook_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(1, 4):
        assert metrics.record_webhook_failure(is_authenticated=False) == number
    metrics.record_answer(0.1)
    for _ in range(20):
        assert metrics.record_webhook_failure(is_authenticated=False) == 0
    assert metrics.record_webhook_failure(is_authenticated=None) == 1
    for _ in range(3):
        metrics.record_webhook_failure(is_authenticated=False)
    assert metrics.consecutive_webhook_failures() == 1
    later = time.time() + metrics.AUTHENTICATED_WITHIN + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert metrics.consecutive_webhook_failures() == 24


@pytest.mark.integration
def test_processes_count_side_by_side_and_their_gauges_end_with_them(
    tmp_path: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
