"""Captured webhooks: what is read from where, and that writing gives the same back."""

import io
import json
import os
import stat
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge import capture, resources
from bridge.errors import CaptureError
from bridge.model import Capture

NOW = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
BODY = b'{\n  "id": "whs_1",\r\n  "n": 1e400 }\n'


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bodies(source: Any) -> list[bytes]:
    return [one.body for one in capture.read(source)]


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b"",
        b"not JSON",
        b"\x00\r\n\x85\xff\xfe",
        "é\u2028\x00\\u0000".encode(),
        b"\xef\xbb\xbf{}",
        b"\xed\xa0\x80",
    ],
)
def test_what_was_written_is_read_back_byte_for_byte(
    tmp_path: Path, body: bytes
) -> None:
    one = Capture(
        body=body, headers={"x-voucherify-signature": "ab"}, door="email/target"
    )
    path = capture.write(tmp_path / "captures", one, received_at=NOW)
    assert list(capture.read(path)) == [one]


def test_a_capture_file_is_only_for_its_owner(tmp_path: Path) -> None:
    folder = tmp_path / "captures"
    path = capture.write(folder, Capture(body=BODY), received_at=NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.iterdir()) == [path]


def test_files_are_named_by_time_or_as_told(tmp_path: Path) -> None:
    one = Capture(body=BODY)
    named = capture.write(tmp_path, one, received_at=NOW, name="0190-ab")
    timed = capture.write(tmp_path, one, received_at=NOW)
    assert named.name == "0190-ab.json"
    assert timed.name.startswith("20260203T040506.000789Z-")


def test_a_capture_of_the_same_name_is_replaced(tmp_path: Path) -> None:
    for body in (b"1", b"2"):
        path = capture.write(
            tmp_path, Capture(body=body), received_at=NOW, name="event"
        )
    assert bodies(path) == [b"2"]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "a\x00"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(CaptureError, match="name of a file"):
        capture.write(tmp_path, Capture(body=b""), received_at=NOW, name=name)


def test_secrets_in_headers_are_neither_written_nor_read(tmp_path: Path) -> None:
    headers = {"Api-Key": "k", "cookie": "c", "authorization": "a", "User-Agent": "u"}
    path = capture.write(
        tmp_path, Capture(body=b"{}", headers=headers), received_at=NOW
    )
    document = json.loads(path.read_text())
    assert document["headers"] == {"user-agent": "u"}
    document["headers"] = headers
    path.write_text(json.dumps(document))
    assert [one.headers for one in capture.read(path)] == [{"user-agent": "u"}]


@pytest.mark.parametrize(
    "body",
    [
        BODY,
        b'{"one": "line"}',
        b'["an", "array"]',
        b"1",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"n": ' + b"9" * 5000 + b"}",
        b'{"body": "no headers"}',
    ],
)
def test_a_body_file_is_the_bytes_it_holds(tmp_path: Path, body: bytes) -> None:
    assert bodies(put(tmp_path, "body.json", body)) == [body]


def test_an_editor_s_byte_order_mark_is_no_part_of_the_body(tmp_path: Path) -> None:
    assert bodies(put(tmp_path, "body.json", b"\xef\xbb\xbf{}")) == [b"{}"]


def test_lines_may_be_bodies_or_captures(tmp_path: Path) -> None:
    one = Capture(body=b"raw", door="sms/target")
    lines = ['{"id": "a"}', "", capture.dumps(one, received_at=NOW), '{"id": "b"}\r']
    path = put(tmp_path, "all.jsonl", "\n".join(lines))
    assert list(capture.find(path)) == [
        capture.Found(where=f"{path} line 1", capture=Capture(body=b'{"id": "a"}')),
        capture.Found(where=f"{path} line 3", capture=one),
        capture.Found(where=f"{path} line 4", capture=Capture(body=b'{"id": "b"}')),
    ]


def test_captures_put_together_are_json_lines(tmp_path: Path) -> None:
    paths = [
        capture.write(tmp_path, Capture(body=body), received_at=NOW, name=f"n{index}")
        for index, body in enumerate((BODY, b"\xff"))
    ]
    together = b"".join(path.read_bytes() for path in paths)
    assert bodies(put(tmp_path, "all.ndjson", together)) == [BODY, b"\xff"]


def test_a_dash_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.TextIOWrapper(io.BytesIO(b'{"id": 1}\n{"id": 2}\n'))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert bodies("-") == [b'{"id": 1}', b'{"id": 2}']


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("b.json", "a/2.json", "a/1.jsonl", "a/deep/0.json", "c.ndjson"):
        put(tmp_path, name, json.dumps(name))
    expected = ["a/1.jsonl", "a/2.json", "a/deep/0.json", "b.json", "c.ndjson"]
    assert [json.loads(body) for body in bodies(tmp_path)] == expected


def test_what_is_no_webhook_in_a_folder_is_skipped_and_named(tmp_path: Path) -> None:
    put(tmp_path, "manifest.jsonl", '{"_": 1}\n')
    put(tmp_path, "README.md", "read me")
    put(tmp_path, ".draft.json", "{")
    put(tmp_path, "s10.json", '{"request": {}, "expected": {}}')
    put(tmp_path, "one.json", "{}")
    notes: list[str] = []
    assert [one.body for one in capture.read(tmp_path, notes.append)] == [b"{}"]
    assert [note.split(":")[0].rsplit("/")[-1] for note in notes] == [
        ".draft.json",
        "README.md",
        "manifest.jsonl",
        "s10.json",
    ]
    assert all("skipped" in note for note in notes)


def test_every_sample_is_read_and_only_webhooks_are() -> None:
    notes: list[str] = []
    found = list(capture.find(resources.samples(), notes.append))
    folder = resources.samples() / "voucherify"
    assert [one.where for one in found] == [
        str(path) for path in sorted(folder.glob("*.json"))
    ]
    assert len(notes) == 1 + len(list((resources.samples() / "iterable").iterdir()))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("read me", "is not JSON"),
        ('{"cut', "is not JSON"),
        (b"\xff\xfe{\x00}\x00", "is not JSON"),
        ('{"headers": [], "body": ""}', "headers must be an object"),
        ('{"headers": {"a": 1}, "body": ""}', "headers must be texts"),
        ('{"headers": {}, "body": {}}', "body must be a text"),
        ('{"headers": {}, "body": "\\ud800"}', "lone surrogate"),
        ('{"headers": {}, "body_base64": "a"}', "not base64"),
        ('{"headers": {}, "body_base64": 1}', "must be a text"),
        ('{"headers": {}, "body": "", "door": "fax/target"}', "door must be"),
        ('{"headers": {}, "body": "", "door": {}}', "door must be"),
        ('{"request": {}, "expected": {}}', "Iterable's answers"),
    ],
)
def test_what_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | str, message: str
) -> None:
    path = put(tmp_path, "one.json", content)
    with pytest.raises(CaptureError, match=message) as caught:
        list(capture.read(path))
    assert caught.value.reason.startswith(f"{path}: ")


def test_a_broken_line_is_named_by_its_number(tmp_path: Path) -> None:
    path = put(tmp_path, "all.jsonl", '{"id": 1}\n\n{"id": 2\n')
    with pytest.raises(CaptureError, match=r"all\.jsonl line 3: is not JSON"):
        list(capture.read(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"gone\.json: cannot be read: No such file"):
        list(capture.read(tmp_path / "gone.json"))


def test_resources_are_those_of_the_checkout() -> None:
    root = Path(__file__).parents[2]
    assert resources.samples() == root / "samples"
    assert resources.templates() == root / "templates"
    assert resources.example_config() == root / "config.example.yaml"


def test_resources_of_a_wheel_lie_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_CHECKOUT", tmp_path)
    package = Path(resources.__file__).parent
    assert resources.samples() == package / "_data" / "samples"


def test_of_several_the_unreadable_ones_are_told_and_the_others_read(
    tmp_path: Path,
) -> None:
    put(tmp_path, "a.json", "no")
    put(tmp_path, "b.jsonl", "no\n{}\nno\n")
    (tmp_path / "c.json").symlink_to("nowhere")
    told: list[CaptureError] = []
    found = capture.find(tmp_path, unreadable=told.append)
    assert [one.where for one in found] == [f"{tmp_path / 'b.jsonl'} line 2"]
    places = ["a.json", "b.jsonl line 1", "b.jsonl line 3", "c.json"]
    assert [one.reason.split(": ")[0] for one in told] == [
        str(tmp_path / place) for place in places
    ]


def test_a_folder_that_cannot_be_opened_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a.json", "{}")
    locked = tmp_path / "locked"
    locked.mkdir()
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    # Who runs tests as root may open every folder.
    monkeypatch.setattr(os, "scandir", guarded)
    told: list[CaptureError] = []
    assert len(list(capture.find(tmp_path, unreadable=told.append))) == 1
    assert [one.reason for one in told] == [
        f"{locked}: cannot be read: Permission denied"
    ]
