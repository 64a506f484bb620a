import json
from datetime import UTC, datetime, timedelta

import pytest

from bridge.cli.printing import counted, json_line, progress, table, text
from bridge.model import Attempt
from bridge.steering.legible import pretty

NOON = datetime(2026, 8, 21, 12, 0, 5, 250000, tzinfo=UTC)


def test_columns_of_a_table_are_aligned_without_trailing_blanks() -> None:
    lines = list(table(("ID", "CODE"), [("a", "WLCM-7"), ("long one", None)]))
    assert lines == ["ID        CODE", "a         WLCM-7", "long one  -"]


def test_a_terminal_obeys_nothing_that_strangers_sent() -> None:
    assert text("Ana\x1b[2J\nBo\u202e") == "Ana\\x1b[2J\\nBo\\u202e"
    assert "\x9b" not in pretty('{"name": "\x9b2J"}'.encode())


def test_json_lines_have_iso_times_seconds_and_parsed_payloads() -> None:
    attempt = Attempt(
        number=1,
        started_at=NOON,
        duration=timedelta(milliseconds=120),
        outcome="SUCCESS",
        status=200,
        code="Success",
        reason="accepted",
        request_id=None,
        payload=b'{"campaignId": 1}',
    )
    line = json_line({"attempts": (attempt,)})
    assert "\n" not in line
    found = json.loads(line)["attempts"][0]
    assert found["started_at"] == "2026-08-21T12:00:05.250000Z"
    assert found["duration"] == 0.12
    assert found["payload"] == {"campaignId": 1}


def test_a_body_that_is_not_json_is_shown_as_its_text() -> None:
    assert pretty(b"\xff not json\n") == "\\xff not json\\n"
    assert json.loads(json_line({"body": b"\xff"})) == {"body": "\\xff"}


@pytest.mark.parametrize(
    "body",
    [b'"\\ud800"', b"[" * 300 + b"]" * 300, b"[" * 100_000, b"9" * 5000, b"[NaN]"],
    ids=["half a character", "nested", "nested without end", "a huge number", "NaN"],
)
def test_whatever_was_stored_can_be_shown(body: bytes) -> None:
    pretty(body).encode()
    line = json_line({"body": body})
    json.loads(line, parse_constant=pytest.fail)
    line.encode()


def test_numbers_agree_with_their_nouns() -> None:
    assert counted(1, "message", "messages") == "1 message"
    assert counted(0, "message", "messages") == "0 messages"


def test_progress_shows_nothing_where_no_terminal_is() -> None:
    assert list(progress(iter([1, 2]), 2, "label")) == [1, 2]
