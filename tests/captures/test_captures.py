"""Captured webhooks: read from our files and other tools' files, and written."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.captures import CapturedWebhook, iter_captures, write
from bridge.errors import CaptureError
from bridge.model import Capture

BODY = '{"id":"whs_1","type":"voucher.published","data":{"note":"ü"}}'
HEADERS = {"X-Voucherify-Signature": "ab" * 32, "Authorization": "Bearer secret"}
KEPT = {"x-voucherify-signature": "ab" * 32}
URL = "https://bridge.example/api/email/target"
LISTED = [{"name": name, "value": value} for name, value in HEADERS.items()]
RAW = base64.b64encode(f"POST {URL} HTTP/1.1\r\na: b\r\n\r\n{BODY}".encode()).decode()


def found(path: Path) -> list[CapturedWebhook]:
    return list(iter_captures(path))


@pytest.mark.parametrize(
    "document",
    [
        {
            "log": {
                "entries": [
                    {"request": {"method": "GET", "url": URL}},
                    {
                        "request": {
                            "method": "POST",
                            "url": URL,
                            "headers": LISTED,
                            "postData": {"text": BODY},
                        }
                    },
                ]
            }
        },
        {
            "data": [
                {
                    "method": "POST",
                    "url": URL,
                    "headers": {name: [value] for name, value in HEADERS.items()},
                    "content": BODY,
                }
            ]
        },
        {
            "info": {},
            "item": [
                {
                    "item": [
                        {
                            "request": {
                                "method": "POST",
                                "header": [
                                    {"key": name, "value": value}
                                    for name, value in HEADERS.items()
                                ],
                                "url": {"raw": URL},
                                "body": {"mode": "raw", "raw": BODY},
                            }
                        }
                    ]
                }
            ],
        },
        {
            "requests": [
                {
                    "request": {
                        "method": "POST",
                        "headers": {name: [one] for name, one in HEADERS.items()},
                        "raw": RAW,
                    }
                }
            ]
        },
        {
            "requestContext": {"http": {"method": "POST"}},
            "rawPath": "/api/email/target",
            "headers": HEADERS,
            "isBase64Encoded": True,
            "body": base64.b64encode(BODY.encode()).decode(),
        },
        {"method": "POST", "url": URL, "headers": HEADERS, "body": BODY},
        {"method": "POST", "url": URL, "headers": LISTED, "body": json.loads(BODY)},
        [{"method": "POST", "url": URL, "headers": HEADERS, "body": BODY}],
    ],
    ids=[
        "HAR",
        "webhook.site",
        "Postman",
        "ngrok",
        "API gateway",
        "object headers",
        "listed headers and object body",
        "list of requests",
    ],
)
def test_a_recording_of_another_tool_is_read_without_its_secrets(
    document: object, tmp_path: Path
) -> None:
    path = tmp_path / "recorded.json"
    path.write_text(json.dumps(document))
    (one,) = found(path)
    assert one.capture == Capture(
        body=BODY.encode(), headers=KEPT, endpoint="email/target"
    )


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_a_byte_order_mark_is_understood(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    path.write_bytes(mark + BODY.encode(encoding))
    assert [one.capture.body for one in found(path)] == [BODY.encode()]


def test_documents_one_after_another_are_several_webhooks(tmp_path: Path) -> None:
    path = tmp_path / "bodies.json"
    path.write_text(f"{json.dumps(json.loads(BODY), indent=1)}\n\n{BODY}\n")
    assert [one.where for one in found(path)] == [
        f"{path} document 1",
        f"{path} document 2",
    ]


def test_each_line_of_json_lines_is_a_webhook(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text(f"{BODY}\n\n{BODY}\n")
    assert [one.where for one in found(path)] == [f"{path} line 1", f"{path} line 3"]


def test_a_har_file_without_a_webhook_is_refused_with_what_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "browser.har"
    path.write_text(json.dumps({"log": {"entries": [{"request": {"method": "GET"}}]}}))
    with pytest.raises(CaptureError, match="is a HAR file without a POST request"):
        found(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no json", "is not JSON"),
        ('{"headers": 3, "body": ""}', "headers must be texts"),
        ('{"headers": {}, "body": 3}', "body must be a text or an object"),
        ('{"headers": {}, "body_base64": "?"}', "the body is not base64"),
        ('{"headers": {}, "body": "", "endpoint": "x"}', "endpoint must be null"),
        ('{"headers": {}, "body": "", "door": "x"}', "now called `endpoint`"),
    ],
)
def test_what_is_no_capture_is_refused_in_words(
    text: str, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.json"
    path.write_text(text)
    with pytest.raises(CaptureError, match=reason):
        found(path)


def test_numbers_of_a_bare_body_stay_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "body.json"
    body = b'{"n": 1.50, "big": ' + b"7" * 5000 + b"}"
    path.write_bytes(body)
    assert found(path)[0].capture.body == body


def test_a_folder_is_read_whole_and_says_what_it_skips(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.json").write_text(BODY)
    (tmp_path / "notes.txt").write_text("no webhook")
    (tmp_path / "manifest.jsonl").write_text("{}")
    skipped: list[str] = []
    assert len(list(iter_captures(tmp_path, skipped.append))) == 1
    assert len(skipped) == 2


def test_a_written_capture_is_read_back_and_only_its_owner_may(tmp_path: Path) -> None:
    capture = Capture(body=b"\xff{", headers=KEPT, endpoint="sms/target")
    path = write(tmp_path / "captures", capture, received_at=datetime.now(UTC))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.capture for one in found(path)] == [capture]
