"""The demo as a newcomer runs it: nothing configured, nothing left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.program import wait_for

pytestmark = pytest.mark.e2e


def environment(folder: Path) -> dict[str, str]:
    """Make a newcomer's environment, with a scratch folder that can be looked into."""
    return {"PATH": os.environ["PATH"], "TMPDIR": str(folder)}


def processes_of(folder: Path) -> list[str]:
    """List the processes whose environment names the folder."""
    needle = str(folder).encode()
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if needle in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def test_the_demo_shows_every_kind_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "demo"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    arrived, others = done.stdout.split("What became no message:")
    for code in (
        *("WLCM-7Qx2Lp", "THX-9vB30k", "tKSTdVk2", "900 points"),
        *("AUT-2mFp8, AUT-w7Hq1", "BACK-4hTq81Zm"),
    ):
        assert arrived.count(code) == 1
    assert "REF-an4a2" not in arrived
    # What is sent raw has no id of ours to be found by, and may be reported too early.
    assert arrived.count("confirmed") >= 5
    assert "duplicate" in others
    assert "parked" in others
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_ended_half_way_leaves_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "demo"],
        env=environment(tmp_path),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        wait_for(lambda: len(processes_of(tmp_path)) > 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 128 + signal.SIGTERM
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
