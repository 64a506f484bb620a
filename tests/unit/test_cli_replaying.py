import pytest
from click.testing import CliRunner

from bridge.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--stored", "a.json"],
        ["--stored", "--to", "http://127.0.0.1:1"],
        ["a.json", "--parked"],
        ["a.json", "--ignored"],
        ["a.json", "--since", "1h"],
        ["a.json", "--to", "127.0.0.1:8000"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_together_is_a_usage_error(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["replay", *arguments])
    assert result.exit_code == 2
    assert "Usage: " in result.stderr
    assert result.stdout == ""
