"""The store in a monkey-patched process: greenlets wait, and may be killed."""

import json
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("gevent")


def run(case: str, database_url: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.store.greenlets", case, database_url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("store")
def test_greenlets_that_come_together_share_commits(database_url: str) -> None:
    found = run("together", database_url)
    assert found["stored"] == 200
    assert found["transactions"] < 50


@pytest.mark.usefixtures("store")
def test_killed_greenlets_leave_nothing_broken(database_url: str) -> None:
    """A leader, its followers and a transaction in the middle of a statement."""
    found = run("killed", database_url)
    assert found == {"killed": 3, "stored": 1, "paused": 0}
