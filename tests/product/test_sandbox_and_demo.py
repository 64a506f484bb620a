"""The local stand-ins of the vendors, and the demo and development runs with them."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import requests

from tests.product.dialect import new_only
from tests.product.dialect_operations import (
    SANDBOX_RECEIVED,
    SANDBOX_RULES,
    sandbox_answer,
)
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

    def send(self, medium: str = "email", **fields: Any) -> requests.Response:
        """Send a message; a field that is None is left out."""
        body = {"campaignId": 7, "recipientUserId": "crm-1"} | fields
        body = {name: one for name, one in body.items() if one is not None}
        return self.call("POST", f"/api/{medium}/target", json=body)

    def call(self, method: str, path: str, **settings: Any) -> requests.Response:
        usual: dict[str, Any] = {"headers": {"Api-Key": "any"}, "timeout": 30}
        return requests.request(method, self.url + path, **(usual | settings))

    def tell(self, **settings: Any) -> None:
        """Have the next call answered otherwise."""
        url = urljoin(self.url, SANDBOX_RULES)
        answer = requests.post(url, json=sandbox_answer(**settings), timeout=30)
        assert answer.status_code == 201, answer.text

    def received(self, user: str) -> list[dict[str, Any]]:
        """List the calls about a person, as the sandbox shows them."""
        url = urljoin(self.url, SANDBOX_RECEIVED)
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
    ("fields", "status", "code"),
    [
        ({}, 200, "Success"),
        ({"campaignId": None}, 400, "BadJsonBody"),
        ({"campaignId": "7"}, 400, "BadJsonBody"),
        ({"recipientUserId": 84097}, 400, "BadJsonBody"),
        ({"dataFields": []}, 400, "BadJsonBody"),
        ({"recipientUserId": None}, 400, "BadParams"),
        ({"recipientUserId": "x" * 53}, 400, "InvalidUserIdError"),
        (
            {"recipientUserId": None, "recipientEmail": "a@"},
            400,
            "InvalidEmailAddressError",
        ),
        ({"sendAt": "2026-13-01 00:00:00"}, 400, "BadParams"),
        ({"data_fields": {"lost": 1}}, 200, "Success"),
    ],
    ids=str,
)
def test_the_sandbox_judges_a_message_as_iterable_does(
    sandbox: Sandbox, fields: dict[str, Any], status: int, code: str
) -> None:
    reply = sandbox.send(**fields)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert reply.json().keys() == {"msg", "code", "params"}


def test_the_sandbox_wants_a_key_and_knows_its_addresses_only(sandbox: Sandbox) -> None:
    reply = sandbox.call("POST", "/api/email/target", headers={}, json={})
    assert (reply.status_code, reply.json()["code"]) == (401, "BadApiKey")
    assert sandbox.call("GET", "/api/nothing").status_code == 404
    found = sandbox.call("GET", "/api/campaigns/7").json()
    assert (found["type"], found["campaignState"]) == ("Triggered", "Running")


def test_the_sandbox_shows_what_a_person_was_sent(sandbox: Sandbox) -> None:
    person = new_person()
    sandbox.send(recipientUserId=person, dataFields={"couponCode": "SEEN-1"})
    query = {"userId": person, "campaignIds": "7"}
    sent = sandbox.call("GET", "/api/users/getSentMessages", params=query).json()
    assert [one["campaignId"] for one in sent["messages"]] == [7]
    [call] = sandbox.received(person)
    assert call["status"] == 200
    assert call["body"]["dataFields"] == {"couponCode": "SEEN-1"}


def test_the_sandbox_fails_on_demand_for_one_person_and_as_often_as_told(
    sandbox: Sandbox,
) -> None:
    person = new_person()
    limited = {"status": 429, "headers": {"Retry-After": "7"}, "body": {"code": "x"}}
    sandbox.tell(user=person, times=2, **limited)
    assert sandbox.send(recipientUserId=new_person()).status_code == 200
    replies = [sandbox.send(recipientUserId=person) for _ in range(3)]
    assert [one.status_code for one in replies] == [429, 429, 200]
    assert replies[0].headers["Retry-After"] == "7"


def test_the_sandbox_loses_an_answer_on_demand(sandbox: Sandbox) -> None:
    person = new_person()
    sandbox.tell(user=person, reset="after")
    with pytest.raises(requests.ConnectionError):
        sandbox.send(recipientUserId=person)
    query = {"userId": person}
    sent = sandbox.call("GET", "/api/users/getSentMessages", params=query).json()
    assert len(sent["messages"]) == 1


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


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
def test_the_sandbox_prints_calls_as_json_and_ends_quietly(
    program: Program, sign: signal.Signals
) -> None:
    sandbox = Sandbox(program, "--json")
    person = new_person()
    sandbox.send(recipientUserId=person)
    wait_for(lambda: f'"{person}"' in program.log)
    sandbox.process.send_signal(sign)
    assert sandbox.process.wait(30) in (0, 128 + sign, -sign)
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


@new_only("today `make run` is a shell program of its own")
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
