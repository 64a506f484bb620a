"""The local Iterable, called over real HTTP: judges, fails on request, remembers."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from threading import Thread
from typing import Any

import pytest
import requests
from flask import Flask
from werkzeug.serving import make_server

from bridge.integrations.iterable.sandbox import IterableSandbox

KEY = "itbl-test-key"
CONTROL = "/_sandbox/iterable"


def served(stack: ExitStack, sandbox: IterableSandbox) -> str:
    """Serve a sandbox in threads until the stack is closed; return its URL."""
    app = Flask("sandbox")
    app.register_blueprint(sandbox.blueprint)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    server.daemon_threads = True  # type: ignore[attr-defined] # socketserver
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def stop() -> None:
        sandbox.close()
        server.shutdown()
        server.server_close()
        thread.join()

    stack.callback(stop)
    return f"http://127.0.0.1:{server.server_port}"


class Caller:
    """Calls a sandbox as the bridge would."""

    def __init__(self, url: str, key: str = KEY) -> None:
        self.url = url
        self.key = key

    def send(self, medium: str = "email", **fields: Any) -> requests.Response:
        body = {"campaignId": 7, "recipientUserId": "crm-1"} | fields
        body = {name: value for name, value in body.items() if value is not None}
        return self.call("POST", f"/api/{medium}/target", json=body)

    def get(self, path: str, **params: Any) -> Any:
        return self.call("GET", path, params=params).json()

    def rule(self, **settings: Any) -> requests.Response:
        return self.call("POST", f"{CONTROL}/rules", json=settings)

    def received(self) -> list[dict[str, Any]]:
        found = self.get(f"{CONTROL}/received")["received"]
        assert isinstance(found, list)
        return found

    def call(self, method: str, path: str, **settings: Any) -> requests.Response:
        headers = {"Api-Key": self.key}
        options: dict[str, Any] = {"timeout": 30, "headers": headers} | settings
        return requests.request(method, self.url + path, **options)


@pytest.fixture
def caller() -> Iterator[Caller]:
    with ExitStack() as stack:
        sandbox = IterableSandbox()
        yield Caller(served(stack, sandbox))


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def test_a_message_is_accepted_and_remembered(caller: Caller) -> None:
    reply = caller.send(dataFields={"couponCode": "A-1"})
    assert reply.json() == {
        "msg": "Campaign 7 - Sent triggered message to: crm-1@resolved.example",
        "code": "Success",
        "params": None,
    }
    assert reply.headers["X-Reward-Bridge-Sandbox"] == "iterable"
    [one] = caller.received()
    assert (one["path"], one["status"], one["user"], one["campaign"]) == (
        "/api/email/target",
        200,
        "crm-1",
        7,
    )
    assert one["body"]["dataFields"] == {"couponCode": "A-1"}
    assert one["accepted"]


REJECTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "campaign as text": ("email", {"campaignId": "7"}, "BadJsonBody"),
    "no campaign": ("email", {"campaignId": None}, "BadJsonBody"),
    "truth as campaign": ("email", {"campaignId": True}, "BadJsonBody"),
    "fields as list": ("email", {"dataFields": []}, "BadJsonBody"),
    "nobody": ("email", {"recipientUserId": None}, "BadParams"),
    "long user id": ("email", {"recipientUserId": "x" * 53}, "InvalidUserIdError"),
    "no address": ("email", {"recipientEmail": "ana"}, "InvalidEmailAddressError"),
    "local time": ("email", {"sendAt": "tomorrow"}, "BadParams"),
    "too far": ("email", {"sendAt": "2999-01-01 00:00:00"}, "BadParams"),
}


@pytest.mark.parametrize(("medium", "fields", "code"), REJECTED.values(), ids=REJECTED)
def test_what_iterable_rejects_is_rejected(
    caller: Caller, medium: str, fields: dict[str, Any], code: str
) -> None:
    reply = caller.send(medium, **fields)
    assert (reply.status_code, reply.json()["code"]) == (400, code)
    assert not caller.received()[0]["accepted"]


def assert_no_null(value: Any) -> None:
    """Iterable's own client accepts a missing field, and no null."""
    assert value is not None
    children = value.values() if isinstance(value, dict) else value
    for child in children if isinstance(value, dict | list) else ():
        assert_no_null(child)


def test_campaigns_are_read_as_iterables_client_expects(caller: Caller) -> None:
    listed = caller.get("/api/campaigns", pageSize=2, page=2)
    one = caller.get("/api/campaigns/8")
    assert_no_null([listed, one])
    assert (one["type"], one["campaignState"]) == ("Triggered", "Running")
    assert isinstance(one["createdAt"], int)
    assert isinstance(one["createdByUserId"], str)


# Rules.


def test_a_rule_may_be_for_certain_calls_only(caller: Caller) -> None:
    caller.rule(user="crm-2", campaign=7, path="/api/email/target", status=500)
    assert caller.send().status_code == 200
    assert caller.send("sms", campaignId=8, recipientUserId="crm-2").status_code == 200
    assert caller.send(recipientUserId="crm-2").status_code == 500
    assert caller.send(recipientUserId="crm-2").status_code == 200


def test_an_answer_can_be_lost_though_the_message_goes_out(caller: Caller) -> None:
    caller.rule(lost=True)
    with pytest.raises(requests.ConnectionError):
        caller.send()
    [one] = caller.received()
    assert (one["status"], one["accepted"]) == (None, True)


# Receipts.
