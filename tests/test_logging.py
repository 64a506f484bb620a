"""Log lines: one form for all, and nothing in them that must not be there."""

import ast
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from bridge import logging as logs

SECRET = 'vf-s3cret-"ü"'
PACKAGE = Path(logs.__file__).parent
FORMATS: list[Literal["json", "text"]] = ["json", "text"]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logs.configure("WARNING", "text")
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_is_one_json_object_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO", "json")
    log = logs.get("bridge.delivery")
    log.info("delivery.dead", delivery_id="d1", attempt=3, reason=None)
    log.debug("delivery.debug")
    [line] = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "bridge.delivery",
        "event": "delivery.dead",
        "delivery_id": "d1",
        "attempt": 3,
        "reason": None,
    }


def test_text_is_one_line_whatever_is_in_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO", "text")
    logs.get("bridge").info("a.b", reason="one\nINFO two", route="x")
    logging.getLogger("gunicorn.error").error("one\ntwo")
    first, second = capsys.readouterr().err.splitlines()
    assert "a.b" in first
    assert "route=x" in first
    assert "one\\ntwo" in second


def test_a_field_that_is_not_listed_is_not_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("INFO", "json")
    logs.get("bridge").info("a.b", body="CODE-1", recipient="Ana", route="r")
    [line] = lines(capsys)
    assert (line["body"], line["recipient"], line["route"]) == (
        logs.HIDDEN,
        logs.HIDDEN,
        "r",
    )


def test_every_field_the_program_logs_is_listed() -> None:
    missing = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
            ):
                names = {one.arg for one in node.keywords if one.arg}
                missing |= {
                    f"{path.name}: {one}" for one in names - logs.FIELDS - {"exc_info"}
                }
    assert not missing


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "address",
    [
        "ana@shop.example",
        "ana.b+tag@shop.example",
        "josé@shop.example",
        "ana%40shop.example",
        "n@shop.example",
    ],
)
def test_an_address_is_masked_wherever_it_appears(
    form: Literal["json", "text"], address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("INFO", form)
    logs.get("bridge").info(
        f"a.b {address}",
        reason=f'"{address}"\n{address}\\',
        deliveries=[address],
        path=f"https://x.example/?email={address}&n=1",
    )
    logging.getLogger("alembic").warning("to %s", address)
    err = capsys.readouterr().err
    assert "shop.example" not in err
    assert "josé" not in err
    if form == "json":
        first = json.loads(err.splitlines()[0])
        assert first["path"] == "https://x.example/?email=[e-mail]&n=1"


@pytest.mark.parametrize("form", FORMATS)
def test_a_secret_is_masked_as_it_is_and_escaped(
    form: Literal["json", "text"], capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("INFO", form, secrets=[SECRET, "tiny", ""])
    log = logs.get("bridge")
    log.info("a.b", reason=SECRET, path="/vf-s3cret-%22%C3%BC%22", name="tiny")
    fault = ValueError(f"with {SECRET} and ana@shop.example")
    log.error("request.failed", exc_info=fault)
    err = capsys.readouterr().err
    assert "s3cret" not in err
    assert "shop.example" not in err
    assert "tiny" in err
    assert "ValueError" in err
    if form == "json":
        assert [json.loads(line)["level"] for line in err.splitlines()] == [
            "info",
            "error",
        ]
