"""The README's first screen, run as printed; its other commands at least exist."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml
from click.testing import CliRunner

from bridge.cli import main
from tests.e2e.program import ROOT, wait_for

pytestmark = pytest.mark.e2e

README = (ROOT / "README.md").read_text(encoding="utf-8")
FIRST_SCREEN = README.split("\n## ", maxsplit=1)[0]


def commands(text: str) -> list[str]:
    return re.findall(r"^\$ (.+?)(?:\s{2,}#.*)?$", text, re.MULTILINE)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return str(listener.getsockname()[1])


def environment(database: Path) -> dict[str, str]:
    """A shell's of its own: `make test` itself runs under make, which would show."""
    inherited = {
        name: value for name, value in os.environ.items() if "MAKE" not in name
    }
    return inherited | {"DATABASE_URL": f"sqlite:///{database}"}


def make(*arguments: str, database: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env=environment(database),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@contextmanager
def running(*arguments: str, database: Path, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["make", *arguments],
            cwd=ROOT,
            env=environment(database),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def is_ready(port: str) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60).ok
    except requests.ConnectionError:
        return False


def test_the_first_screen_names_these_commands() -> None:
    assert commands(FIRST_SCREEN) == ["make demo", "make run", "make send", "make test"]


def test_make_demo_shows_what_the_readme_shows(tmp_path: Path) -> None:
    done = make("demo", database=tmp_path / "unused.db")
    assert done.returncode == 0, done.stderr
    block = FIRST_SCREEN.split("$ make demo\n")[1].split("…")[0]
    # The messages arrive in whatever order they are sent.
    assert set(block.splitlines()) <= set(done.stdout.splitlines())


def test_make_run_and_make_send_show_what_the_readme_shows(tmp_path: Path) -> None:
    database, port = tmp_path / "bridge.db", free_port()
    ports = (f"PORT={port}", f"SANDBOX_PORT={free_port()}")
    with running("run", *ports, database=database, log=tmp_path / "log"):
        wait_for(lambda: is_ready(port))
        sent = make("send", *ports, database=database)
    assert sent.returncode == 0, sent.stderr
    shown = FIRST_SCREEN.split("$ make send\n")[1].split("```")[0]
    assert nameless(sent.stdout) == nameless(shown)


def test_make_run_fails_where_the_sandbox_s_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = (f"PORT={free_port()}", f"SANDBOX_PORT={taken.getsockname()[1]}")
        done = make("run", *ports, database=tmp_path / "bridge.db")
    assert done.returncode != 0
    assert "Address already in use" in done.stderr
    assert not (tmp_path / "bridge.db").exists()


def nameless(text: str) -> str:
    """Leave out what differs from run to run: ids and times."""
    return re.sub(
        r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "…", text
    )


@pytest.mark.parametrize("path", ["README.md", "docs/operations.md"])
def test_every_command_named_exists_with_its_options(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    named = [one for one in commands(text) if one.startswith("reward-bridge")]
    named += re.findall(
        r"`(?:reward-bridge )?((?:reconcile|replay|resolve|redeliver) [^`]+)`", text
    )
    assert named
    for command in named:
        words = command.removeprefix("reward-bridge ").split()
        helped = CliRunner().invoke(main, [words[0], "--help"])
        assert helped.exit_code == 0, command
        for option in re.findall(r"--[a-z-]+", command):
            assert option in helped.output, command


def test_the_readme_names_every_variable_the_program_reads() -> None:
    text = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "bridge" / "config").glob("*.py")
    )
    read = set(re.findall(r'"([A-Z]{2,}[A-Z_]*_[A-Z_]+|PORT)"', text))
    read -= {"DISCOUNT_VOUCHER", "GIFT_VOUCHER", "LOYALTY_CARD"}
    assert read
    assert {name for name in read if f"`{name}`" not in README} == set()


def test_the_procfile_names_commands_that_exist() -> None:
    for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
        program, command, *_ = line.split(":", 1)[1].split()
        assert program == "reward-bridge"
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0


def test_the_example_configuration_is_yaml_of_the_documented_sections() -> None:
    data = yaml.safe_load((ROOT / "config.example.yaml").read_text(encoding="utf-8"))
    assert {"iterable", "retry", "receive", "routes"} <= set(data)
