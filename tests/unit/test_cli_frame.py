import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bridge.cli import main
from bridge.cli.frame import Command, Commands, config_path
from bridge.errors import ConfigError, Problem, StoreUnavailable
from bridge.resources import example_config, samples

COMMANDS = sorted(main.commands)


def failing(error: Exception) -> Commands:
    """Make a program whose one command raises."""

    @click.command(cls=Command, example="bridge fail")
    def fail() -> None:
        raise error

    return Commands("bridge", commands=[fail])


def showing_config() -> Commands:
    """Make a program whose one command prints the configuration's path."""

    @click.command(cls=Command, example="bridge show")
    def show() -> None:
        click.echo(config_path())

    return Commands("bridge", commands=[show])


def test_every_command_of_the_contract_is_there() -> None:
    assert set(COMMANDS) == {
        "anonymise",
        "check",
        "deliveries",
        "demo",
        "events",
        "forget",
        "migrate",
        "pause",
        "reconcile",
        "redeliver",
        "render",
        "replay",
        "resolve",
        "resume",
        "sandbox",
        "serve",
        "worker",
    }


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example_and_takes_config(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert "Example:\n  " in result.stdout
    assert "reward-bridge " + name in result.stdout.split("Example:")[1]
    assert "--config PATH" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (["show"], "from-env.yaml"),
        (["--config", "a.yaml", "show"], "a.yaml"),
        (["show", "--config", "b.yaml"], "b.yaml"),
        (["--config", "a.yaml", "show", "--config", "b.yaml"], "b.yaml"),
    ],
    ids=["environment", "before", "after", "the command's own wins"],
)
def test_config_is_taken_before_and_after_the_command(
    arguments: list[str], path: str
) -> None:
    env = {"BRIDGE_CONFIG": "from-env.yaml"}
    result = CliRunner().invoke(showing_config(), arguments, env=env)
    assert result.stdout == f"{path}\n"


def test_without_any_word_the_configuration_is_config_yaml() -> None:
    assert CliRunner().invoke(showing_config(), ["show"]).stdout == "config.yaml\n"


def test_every_problem_of_a_configuration_is_a_line_and_the_exit_code_is_2() -> None:
    problems = [Problem("PORT", "must be a number"), Problem("routes", "are missing")]
    result = CliRunner().invoke(failing(ConfigError(problems)), ["fail"])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "PORT: must be a number\nroutes: are missing\n"


def test_another_error_of_the_bridge_is_one_line_and_exit_code_1() -> None:
    result = CliRunner().invoke(failing(StoreUnavailable("disk full")), ["fail"])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "bridge: disk full\n"


def test_a_bug_is_not_hidden() -> None:
    result = CliRunner().invoke(failing(KeyError("x")), ["fail"])
    assert isinstance(result.exception, KeyError)


def test_a_missing_configuration_ends_with_2(tmp_path: Path) -> None:
    path = tmp_path / "none.yaml"
    result = CliRunner().invoke(main, ["deliveries", "--config", str(path)])
    assert result.exit_code == 2
    assert "none.yaml: cannot be read" in result.stderr


@pytest.mark.parametrize(
    "arguments", [["--help"], ["render", str(samples())]], ids=["help", "render"]
)
def test_a_full_disk_behind_stdout_is_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "bridge", *arguments],
            env=os.environ | {"BRIDGE_CONFIG": str(example_config())},
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.stderr.endswith(b"Error: No space left on device\n")
    assert b"Traceback" not in done.stderr
    assert done.returncode == 1
