"""The commands as an operator types them, beside the running program."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
import requests
import yaml

from tests.e2e.program import ROOT, Program, envelope, wait_for

pytestmark = pytest.mark.e2e


@contextmanager
def running(
    program: Program, *arguments: str, stderr: int | IO[bytes] = subprocess.DEVNULL
) -> Iterator["subprocess.Popen[bytes]"]:
    """Keep a command running for a while."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", *arguments],
        cwd=program.folder,
        env=program.env,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def write(folder: Path, *numbers: int) -> Path:
    """Write webhooks into a folder, one a file."""
    folder.mkdir(exist_ok=True)
    for number in numbers:
        (folder / f"{number}.json").write_bytes(envelope(number))
    return folder


def test_a_folder_replayed_twice_is_sent_once(program: Program) -> None:
    folder = write(program.folder / "captures", 1, 2, 3)
    program.start()
    program.run("replay", str(folder))
    wait_for(lambda: len(program.accepted()) == 3)
    wait_for(lambda: program.statuses() == {"accepted": 3})
    again = program.command("replay", str(folder))
    assert again.returncode == 0
    assert "0 new" in again.stderr
    assert program.stop() == 0
    assert len(program.accepted()) == 3


def test_webhooks_are_posted_signed_to_a_running_bridge(program: Program) -> None:
    folder = write(program.folder / "captures", *range(20))
    program.start()
    said = program.run("replay", "--to", program.url, str(folder))
    assert said.count("202     stored") == 20
    wait_for(lambda: len(program.accepted()) == 20)
    again = program.run("replay", "--to", program.url, str(folder))
    assert again.count("202     duplicate") == 20


def test_json_lines_are_replayed_from_standard_input(program: Program) -> None:
    lines = b"\n".join(envelope(number) for number in (1, 2)).decode()
    said = program.run("replay", "-", stdin=lines)
    assert said.count("stored") == 2
    assert "standard input line 2" in said


def test_a_dead_delivery_is_delivered_after_redeliver(program: Program) -> None:
    program.start()
    program.sandbox.tell(fixture="s13", user="crm-1")
    program.post(envelope(1))
    wait_for(lambda: program.statuses() == {"dead": 1})
    program.run("redeliver", "--status", "dead", "--yes")
    wait_for(lambda: program.statuses() == {"accepted": 1})
    story = program.run("deliveries", program.deliveries()[0].id)
    assert story.index("Event ") < story.index("Delivery ")
    assert story.index("Attempt 1") < story.index("PERMANENT")
    assert story.index("PERMANENT") < story.index("Attempt 2")
    assert "CODE-000001" in story.split("Attempt 2")[1]


def test_messages_of_a_paused_route_wait_until_it_is_resumed(program: Program) -> None:
    common = {"campaign_id": 1, "template": "triggered_email.json.j2"}
    events = {
        "paused": "customer.publication.succeeded",
        "open": "customer.segment.entered",
    }
    routes = [
        {"name": name, "when": {"events": [event]}, **common}
        for name, event in events.items()
    ]
    program.configure(routes=routes)
    program.run("pause", "paused", "--reason", "campaign under repair")
    program.start()
    program.post(envelope(1, event=events["paused"]))
    program.post(envelope(2, event=events["open"]))
    wait_for(lambda: program.statuses() == {"pending": 1, "accepted": 1})
    assert [one.user for one in program.accepted()] == ["crm-2"]
    program.run("resume", "paused")
    wait_for(lambda: program.statuses() == {"accepted": 2})


def test_a_worker_delivers_and_ends_on_sigterm(program: Program) -> None:
    folder = write(program.folder / "captures", 1, 2)
    program.run("replay", str(folder))
    with running(program, "worker", "--threads", "2") as worker:
        wait_for(lambda: program.statuses() == {"accepted": 2})
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(25) == 0


def test_a_captured_event_replayed_is_a_duplicate(program: Program) -> None:
    program.start()
    answer = program.post(envelope(1)).json()
    path = program.run("events", answer["event_id"], "--capture").strip()
    assert "duplicate" in program.run("replay", path)
    assert "CODE-000001" in program.run("render", path)


def test_serve_refuses_five_mistakes_with_five_lines(program: Program) -> None:
    path = program.folder / "config.yaml"
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    data["iterable"]["rate_per_second"] = 0
    data["retyr"] = {}
    data["routes"][0] |= {"per": "person", "campaign_id": "1", "template": "no.j2"}
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    said = program.command("serve")
    assert said.returncode == 2
    places = sorted(line.split(":")[0] for line in said.stderr.splitlines())
    assert places == [
        "iterable.rate_per_second",
        "retyr",
        "routes.0.campaign_id",
        "routes.0.per",
        "routes.0.template",
    ]


def test_check_online_asks_iterable_about_campaigns(program: Program) -> None:
    program.run("check", "--online")
    program.sandbox.tell(fixture="s07", times=None)
    said = program.command("check", "--online")
    assert said.returncode == 2
    assert "routes.0.campaign_id: " in said.stderr


def test_the_sandbox_prints_calls_and_ends_on_sigterm(program: Program) -> None:
    with running(
        program, "sandbox", "--port", "0", "--json", stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stderr.readline().decode().strip().split("=")[1]
        body = {"campaignId": 1, "recipientUserId": "crm-1"}
        headers = {"Api-Key": "any"}
        requests.post(f"{url}/api/email/target", json=body, headers=headers, timeout=60)
        shown = json.loads(process.stdout.readline())
        assert (shown["status"], shown["body"]) == (200, body)
        process.terminate()
        assert process.wait(60) == 128 + signal.SIGTERM


def test_long_work_shows_its_progress_on_a_terminal_only(program: Program) -> None:
    folder = write(program.folder / "captures", *range(5))
    piped = program.command("replay", "--dry-run", str(folder))
    assert "[####" not in piped.stderr
    terminal, stderr = os.openpty()
    with os.fdopen(terminal, "rb", buffering=0) as shown, os.fdopen(stderr) as end:
        subprocess.run(
            [sys.executable, "-m", "bridge", "replay", "--dry-run", str(folder)],
            cwd=program.folder,
            env=program.env,
            stdout=subprocess.DEVNULL,
            stderr=end,
            timeout=60,
            check=True,
        )
        assert b"planning" in shown.read(65536)


def test_a_variable_set_to_nothing_is_named(program: Program) -> None:
    program.env["WEB_CONCURRENCY"] = ""
    said = program.command("serve")
    assert said.returncode == 2
    assert said.stderr.startswith("WEB_CONCURRENCY: must be a number")


def test_a_port_that_is_taken_is_a_refusal(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"
        said = program.command("serve", "--bind", bind)
    assert said.returncode == 2
    assert f"--bind: {bind}" in said.stderr


def test_the_package_runs_as_a_module_and_as_a_command() -> None:
    script = Path(sys.executable).with_name("reward-bridge")
    module, command = (
        subprocess.run(
            [*start, "--version"], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout
        for start in ([sys.executable, "-m", "bridge"], [script])
    )
    assert module == command
    assert module.startswith("reward-bridge, version ")


def test_ctrl_c_ends_the_sandbox_quietly(tmp_path: Path) -> None:
    talk = tmp_path / "talk"
    command = [sys.executable, "-m", "bridge", "sandbox", "--port", "0"]
    with (
        talk.open("wb") as stderr,
        subprocess.Popen(command, stderr=stderr, cwd=ROOT) as process,
    ):
        wait_for(lambda: talk.read_bytes().endswith(b"\n"))
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert talk.read_text().startswith("ITERABLE_BASE_URL=")
    assert talk.read_text().count("\n") == 1
