"""Every command: help, exit codes, and what goes to stdout and to stderr."""

import json
import resource
import socket
import subprocess

import pytest

from tests.product.program import Program, bridge_command, webhook
from tests.product.vendor import lines

NOBODY = "01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"
COMMANDS = [
    *("serve", "worker", "demo", "sandbox", "migrate", "check", "render", "replay"),
    *("deliveries", "events", "redeliver", "resolve", "pause", "resume"),
    *("reconcile", "forget", "anonymise", "dev", "receipts"),
]


def bridge(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in an empty environment: nothing is configured."""
    return subprocess.run(
        [bridge_command(), *arguments],
        env={"HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_help_lists_every_command_and_says_where_output_goes() -> None:
    done = bridge("--help")
    assert done.returncode == 0
    listed = [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    assert set(COMMANDS) <= set(listed)
    assert "stdout" in done.stdout
    assert "stderr" in done.stdout


def test_help_comes_in_under_a_third_of_a_second() -> None:
    def seconds_of_cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    spent = []
    for _ in range(3):
        before = seconds_of_cpu()
        assert bridge("--help").returncode == 0
        spent.append(seconds_of_cpu() - before)
    assert min(spent) < 0.3


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["delivrs"], "delivrs"),
        (["deliveries", "--nope"], "--nope"),
        (["deliveries", "--status", "nonsense"], "nonsense"),
        (["deliveries", "--since", "yesterday"], "yesterday"),
        (["resolve", NOBODY, "--sent"], "--reason"),
        (["redeliver", NOBODY, "--status", "dead"], "one of the two"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistyped_command_line_is_exit_code_2(
    program: Program, arguments: list[str], named: str
) -> None:
    done = program.command(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert named in done.stderr
    assert done.stdout == ""


def test_what_does_not_exist_is_exit_code_1(program: Program) -> None:
    program.run("migrate")
    done = program.command("deliveries", NOBODY)
    assert done.returncode == 1
    assert NOBODY in done.stderr
    assert done.stdout == ""


def test_a_missing_configuration_file_is_exit_code_2_and_named(
    program: Program,
) -> None:
    program.run("migrate")
    done = program.command("deliveries", env={"BRIDGE_CONFIG": "nowhere.yaml"})
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr
    chosen = ("deliveries", "--config", "config.yaml")
    assert (
        program.command(*chosen, env={"BRIDGE_CONFIG": "nowhere.yaml"}).returncode == 0
    )


def test_results_go_to_stdout_and_messages_to_stderr(program: Program) -> None:
    program.run("migrate")
    empty = program.command("deliveries")
    assert (empty.returncode, empty.stdout) == (0, "")
    assert empty.stderr.strip() != ""
    program.run("replay", "-", "--yes", stdin=lines(webhook(), webhook()))
    found = program.command("deliveries", "--json", "--limit", "1")
    [row] = [json.loads(line) for line in found.stdout.splitlines()]
    assert row["status"] == "pending"
    assert "--limit" in found.stderr


def test_a_reading_command_makes_no_ledger_and_says_which_is_missing(
    program: Program,
) -> None:
    done = program.command("deliveries")
    assert done.returncode == 1
    assert "bridge.db" in done.stderr
    assert list(program.folder.glob("bridge.db*")) == []


def test_a_port_that_is_taken_ends_serve_with_one_line(program: Program) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = program.command("serve", "--bind", address)
    assert done.returncode in (1, 2)
    assert address in done.stderr
    assert "Traceback" not in done.stderr
