"""Log lines: one form for all, and nothing in them that must not be there."""

import json
import logging
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from bridge import log

SECRET = 'vf-s3cret-"ü"'


@pytest.fixture(autouse=True)
def _root() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_a_line_is_one_json_object_on_stderr(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("INFO", "json")
    log.get("bridge.worker").info("delivery.dead", delivery_id="d1", attempt=3)
    [line] = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "bridge.worker",
        "event": "delivery.dead",
        "delivery_id": "d1",
        "attempt": 3,
    }


def test_text_puts_what_every_line_has_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("INFO", "text")
    log.get("bridge.worker").warning(
        "gate.closed", route="a", reason="two words", n=1, x=None
    )
    line = capsys.readouterr().err
    assert line.split(" ", 1)[1] == (
        'WARNING bridge.worker gate.closed route=a reason="two words" n=1 x=null\n'
    )


def test_a_line_break_in_a_value_makes_no_second_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("INFO", "text")
    log.get("bridge").info("a.b", reason="one\nINFO two")
    logging.getLogger("gunicorn.error").info("one\ntwo")
    assert len(capsys.readouterr().err.splitlines()) == 2


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "address",
    [
        "ana@shop.example",
        "ana.b+tag@shop.example",
        "o'brien@shop.example",
        "josé@shop.example",
        "ana%40shop.example",
        "foo@",
        "@shop.example",
    ],
)
def test_an_address_is_masked_wherever_it_stands(
    form: Any, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup("INFO", form)
    log.get("bridge").info(
        f"a.b {address}",
        plain=address,
        quoted=f'"{address}"\n{address}\\',
        nested={"to": [address], address: 1},
        url=f"https://x.example/?email={address}&n=1",
        body=json.dumps({"email": address}),
    )
    err = capsys.readouterr().err
    assert address not in err
    assert "shop.example" not in err
    assert err.count("[e-mail]") == 8
    if form == "json":
        assert json.loads(err)["url"] == "https://x.example/?email=[e-mail]&n=1"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_is_masked_as_it_is_and_escaped(
    form: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup("INFO", form, [SECRET, "tiny"])
    log.get("bridge").info(
        "a.b",
        plain=SECRET,
        nested=[SECRET],
        body=json.dumps({"key": SECRET}),
        url="https://x.example/vf-s3cret-%22%C3%BC%22",
        word="tiny",
    )
    err = capsys.readouterr().err
    assert "s3cret" not in err
    assert err.count("[secret]") == 4
    assert "tiny" in err


def test_a_traceback_is_kept_and_masked(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("INFO", "json", ["long-secret"])
    try:
        int("ana@shop.example long-secret")
    except ValueError:
        log.get("bridge").exception("delivery.crashed", delivery_id="d1")
    [line] = lines(capsys)
    assert line["level"] == "error"
    assert line["exception"].endswith("with base 10: [e-mail] [secret]'")


@pytest.mark.parametrize(
    "name", ["gunicorn.error", "alembic.runtime.migration", "urllib3.connectionpool"]
)
def test_lines_of_libraries_take_the_same_form(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    log.setup("INFO", "json")
    logging.getLogger(name).warning("Retrying %s for %s", 3, "ana@shop.example")
    [line] = lines(capsys)
    assert line["event"] == "Retrying 3 for [e-mail]"
    assert line["logger"] == name


def test_urllib3_is_not_let_down_to_its_query_strings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("DEBUG", "json")
    logging.getLogger("urllib3.connectionpool").debug("GET /?email=ana")
    log.get("bridge").debug("round.done")
    assert [line["event"] for line in lines(capsys)] == ["round.done"]


def test_handlers_that_a_library_brought_are_taken_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("INFO", "json")
    theirs = logging.getLogger("gunicorn.error")
    theirs.addHandler(logging.StreamHandler())
    theirs.propagate = False
    log.adopt("gunicorn.error")
    theirs.info("Listening")
    assert [line["event"] for line in lines(capsys)] == ["Listening"]


def test_structlog_used_directly_ends_in_the_same_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("INFO", "json")
    structlog.get_logger("elsewhere").info("a.b", n=1)
    [line] = lines(capsys)
    assert (line["logger"], line["event"], line["n"]) == ("elsewhere", "a.b", 1)


def test_a_logger_made_before_follows_a_second_setup(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = log.get("bridge.early")
    log.setup("ERROR", "json")
    logger.info("not.shown")
    log.setup("INFO", "json")
    logger.info("shown")
    assert [line["event"] for line in lines(capsys)] == ["shown"]


def test_what_json_has_no_form_for_is_still_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log.setup("INFO", "json")
    log.get("bridge").info("a.b", obj={1}, lone="\ud800", raw=b"x")
    [line] = lines(capsys)
    assert (line["obj"], line["lone"], line["raw"]) == ("{1}", "\ud800", "b'x'")


@pytest.mark.parametrize("nonsense", ["a" * 10**6 + " @", "@" * 10**6, "\\u" * 10**5])
def test_redaction_takes_linear_time(nonsense: str) -> None:
    begun = time.perf_counter()
    log.redact(nonsense + " x@y")
    assert time.perf_counter() - begun < 2


def test_the_events_of_the_code_are_those_of_the_documentation() -> None:
    root = Path(__file__).parents[2]
    areas = "event|request|delivery|gate|store|process|server|worker|probe"
    areas += "|report|lookout|retention|alert|check|upstream|console"
    code = "".join(
        path.read_text(encoding="utf-8") for path in (root / "bridge").rglob("*.py")
    )
    said = set(re.findall(rf'"((?:{areas})\.[a-z_]+)"', code))
    text = (root / "docs" / "operations.md").read_text(encoding="utf-8")
    table = "".join(line.split("|")[1] for line in text.splitlines() if line[:1] == "|")
    assert set(re.findall(r"`([a-z]+\.[a-z_]+)`", table)) == said
