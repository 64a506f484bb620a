"""The local Iterable telling a bridge what becomes of its messages."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
import requests

from bridge.sandbox import Sandbox

pytestmark = pytest.mark.integration


class Ear(BaseHTTPRequestHandler):
    """Records what it is told; refuses as often as it shall."""

    server: "Bridge"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_refused = self.server.refuses > 0
        self.server.refuses -= 1
        if not is_refused:
            self.server.told.append((self.headers["Authorization"], json.loads(body)))
        self.send_response(503 if is_refused else 202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        """Say nothing."""


class Bridge(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.refuses = 0
        super().__init__(("127.0.0.1", 0), Ear)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhooks/iterable"


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    with Bridge() as made:
        thread = Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def sandbox(bridge: Bridge) -> Iterator[Sandbox]:
    with Sandbox(users={"crm-1": "ana@shop.example"}) as made:
        made.report_to(bridge.url, "a-secret")
        yield made


def send(sandbox: Sandbox, medium: str = "email", **fields: Any) -> int:
    body = {"campaignId": 7, "recipientUserId": "crm-1"} | fields
    url = f"{sandbox.url}/api/{medium}/target"
    return requests.post(
        url, json=body, headers={"Api-Key": "k"}, timeout=60
    ).status_code


def test_an_accepted_message_is_reported_sent(
    sandbox: Sandbox, bridge: Bridge, eventually: Callable[..., None]
) -> None:
    send(sandbox, dataFields={"bridgeId": "id-1"})
    eventually(lambda: bridge.told)
    ((secret, told),) = bridge.told
    assert secret == "Bearer a-secret"
    assert (told["eventName"], told["userId"]) == ("emailSend", "crm-1")
    assert told["email"] == "ana@shop.example"
    assert told["dataFields"]["transactionalData"] == {"bridgeId": "id-1"}
    assert told["dataFields"]["campaignId"] == 7


@pytest.mark.parametrize(
    ("becomes", "events"),
    [
        ("sent", ["pushSend"]),
        ("bounced", ["pushSend", "pushBounce"]),
        ("complained", ["pushSend", "pushComplaint"]),
        ("FrequencyCapping", ["pushSendSkip"]),
    ],
)
def test_it_reports_what_it_was_told_to(
    sandbox: Sandbox,
    bridge: Bridge,
    eventually: Callable[..., None],
    becomes: str,
    events: list[str],
) -> None:
    sandbox.tell(becomes=becomes)
    send(sandbox, medium="push")
    eventually(lambda: len(bridge.told) == len(events))
    assert [told["eventName"] for _, told in bridge.told] == events
    assert len({told["dataFields"]["messageId"] for _, told in bridge.told}) == 1


def test_what_is_not_accepted_or_not_to_be_told_is_not_reported(
    sandbox: Sandbox, bridge: Bridge, eventually: Callable[..., None]
) -> None:
    sandbox.tell(becomes="nothing")
    assert send(sandbox) == 200
    assert send(sandbox, recipientUserId="nobody") == 400
    send(sandbox, medium="sms")
    eventually(lambda: bridge.told)
    assert [told["eventName"] for _, told in bridge.told] == ["smsSend"]


def test_a_refused_report_comes_again(
    sandbox: Sandbox, bridge: Bridge, eventually: Callable[..., None]
) -> None:
    bridge.refuses = 1
    send(sandbox)
    eventually(lambda: bridge.told)
    assert bridge.refuses == -1
