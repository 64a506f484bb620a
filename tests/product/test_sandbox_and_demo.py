"""The local sandboxes of the vendors, and the demo and development runs with them."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.product.program import (
    SAMPLES,
    Program,
    bridge_command,
    installed,
    new_person,
    wait_for,
    webhook,
)

WORD = "iterable-webhook-secret-1"
RECEIPTS = "/webhooks/iterable"


class Sandbox:
    """A running `sandbox`, called as Iterable is."""

    def __init__(self, program: Program, *options: str) -> None:
        self.process = program.launch("sandbox", "--port", "0", *options)
        named = re.compile(r"ITERABLE_BASE_URL=(http://[^\s\"]+)")
        self.url = wait_for(lambda: named.findall(program.log))[-1].rstrip("/")

    def send(self, **fields: Any) -> requests.Response:
        """Send a message."""
        url = f"{self.url}/api/email/target"
        body = {"campaignId": 7} | fields
        return requests.post(url, json=body, headers={"Api-Key": "any"}, timeout=30)

    def tell(self, **settings: Any) -> None:
        """Have the next call answered otherwise."""
        url = f"{self.url}/_sandbox/iterable/rules"
        answer = requests.post(url, json=settings, timeout=30)
        assert answer.status_code == 201, answer.text

    def received(self, user: str) -> list[dict[str, Any]]:
        """List the calls about a person, as the sandbox shows them."""
        url = f"{self.url}/_sandbox/iterable/received"
        shown = requests.get(url, timeout=30).json()["received"]
        return [one for one in shown if one["user"] == user]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running bridge that hears of its messages; Iterable's part is still open."""
    with installed(tmp_path_factory.mktemp("rehearsal")) as program:
        program.env["ITERABLE_WEBHOOK_SECRET"] = WORD
        program.route(recipient=["email"])
        yield program


@pytest.fixture(scope="module")
def sandbox(rehearsal: Program) -> Sandbox:
    """A sandbox that sends receipts to the bridge, and the bridge sending to it."""
    sandbox = Sandbox(rehearsal, "--webhooks", rehearsal.url + RECEIPTS)
    rehearsal.env["ITERABLE_BASE_URL"] = sandbox.url
    rehearsal.start()
    return sandbox


@pytest.mark.parametrize(
    ("receipt", "state"),
    [
        (None, "confirmed"),
        ("bounced", "undelivered"),
        ("FrequencyCapping", "undelivered"),
    ],
)
def test_a_rehearsed_message_ends_as_the_sandbox_is_told(
    sandbox: Sandbox, rehearsal: Program, receipt: str | None, state: str
) -> None:
    # Iterable names the person of a skipped message by the address only.
    address = f"{new_person()}@shop.example"
    if receipt is not None:
        sandbox.tell(user=address, receipt=receipt)
    [delivery_id] = rehearsal.accept(webhook(customer={"email": address}))
    ended = rehearsal.in_state(delivery_id, state)
    if receipt == "FrequencyCapping":
        assert receipt in ended["reason"]


def test_a_replay_to_a_stand_in_needs_no_yes(
    sandbox: Sandbox, rehearsal: Program
) -> None:
    coupon = SAMPLES / "01_project_voucher_published_discount.json"
    assert "stored" in rehearsal.run("replay", str(coupon))
    wait_for(lambda: sandbox.received("ana.whitfield@shop.example"))


def test_the_sandbox_prints_calls_as_json_and_ends_quietly(
    program: Program,
) -> None:
    sandbox = Sandbox(program, "--json")
    person = new_person()
    sandbox.send(recipientUserId=person)
    wait_for(lambda: f'"{person}"' in program.log)
    sandbox.process.terminate()
    assert sandbox.process.wait(30) in (0, 128 + signal.SIGTERM)
    assert "Traceback" not in program.log


def environment(folder: Path) -> dict[str, str]:
    """Make a newcomer's environment, with a scratch folder that can be looked into."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}


def processes_of(folder: Path) -> list[str]:
    """List the processes whose environment names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


def demo(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [bridge_command(), "demo"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_demo_shows_what_arrived_and_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stdout + stderr
    for code in ("WLCM-7Qx2Lp", "THX-9vB30k", "tKSTdVk2", "900 points", "AUT-w7Hq1"):
        assert code in stdout
    assert "REF-an4a2" not in stdout
    for word in ("confirmed", "duplicate", "parked"):
        assert word in stdout
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_demo_that_is_ended_half_way_leaves_nothing(tmp_path: Path) -> None:
    with demo(tmp_path) as process:
        wait_for(lambda: len(processes_of(tmp_path)) > 1)
        process.terminate()
        assert process.wait(40) != 0
    assert processes_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_dev_runs_the_bridge_beside_stand_ins(program: Program) -> None:
    for name in ("ITERABLE_BASE_URL", "ITERABLE_API_KEY"):
        del program.env[name]
    address = f"127.0.0.1:{program.port}"
    process = program.launch("dev", "--bind", address)
    program.wait_ready(process)
    coupon = SAMPLES / "01_project_voucher_published_discount.json"
    shown = program.run("replay", "--yes", "--to", program.url, str(coupon))
    assert "stored" in shown
    wait_for(
        lambda: "WLCM-7Qx2Lp" in program.log or program.records("delivery.accepted")
    )
    process.terminate()
    assert process.wait(30) in (0, 128 + signal.SIGTERM)
    assert processes_of(program.folder) == []
