"""A local Iterable: judges calls by the contract, fails on demand, shows its calls.

A Flask blueprint with Iterable's addresses below `/api` and a control API below
`/_sandbox/iterable`: `rules` (GET, POST, DELETE; see `Stub`), `received` (GET, DELETE;
`?since=NUMBER`, `?all`). Every answer carries the header
`X-Reward-Bridge-Sandbox`.
"""

import socket
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from threading import Event, Lock

from flask import Blueprint, Response, request

from bridge.integrations import SandboxReceipts
from bridge.integrations.iterable.sandbox.calls import (
    Call,
    Stub,
    read_call,
    read_json,
    read_stubs,
)
from bridge.integrations.iterable.sandbox.project import (
    MEDIA,
    Verdict,
    as_json,
    judge,
)
from bridge.integrations.iterable.sandbox.receipts import SENT, ReceiptSender

__all__ = ["Call", "IterableSandbox", "Stub"]

HEADER = "X-Reward-Bridge-Sandbox"
_KIND = "iterable"
_CONTROL = f"/_sandbox/{_KIND}"
#: The key that `environment` names; any is accepted.
_ANY_KEY = "sandbox-key"
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
_SUCCESSES = range(200, 300)
#: Calls kept.
_KEPT = 100_000


class IterableSandbox:
    """One Iterable project, on this machine.

    Args:
        receipts: Where to post receipts of what it accepted; None for nowhere.
    """

    def __init__(self, receipts: SandboxReceipts | None = None) -> None:
        self._calls: deque[Call] = deque(maxlen=_KEPT)
        self._numbers = count(1)
        self._stubs: list[Stub] = []
        self._lock = Lock()
        self._closed = Event()
        self._sender = None if receipts is None else ReceiptSender(receipts)
        self.blueprint = self._make_blueprint()

    def environment(self, base_url: str) -> Mapping[str, str]:
        """Name the variables that point the bridge at it."""
        return {"ITERABLE_BASE_URL": base_url, "ITERABLE_API_KEY": _ANY_KEY}

    def calls(self, after: int = 0) -> list[Call]:
        """List the calls after the one with this number, oldest first."""
        with self._lock:
            return [one for one in self._calls if one.number > after]

    def close(self) -> None:
        """Post no more receipts, and end every delay."""
        self._closed.set()
        if self._sender is not None:
            self._sender.close()

    def _make_blueprint(self) -> Blueprint:
        blueprint = Blueprint(f"{_KIND}_sandbox", __name__)
        rules, received = f"{_CONTROL}/rules", f"{_CONTROL}/received"
        blueprint.add_url_rule("/api/<path:_>", "api", self._receive, methods=_METHODS)
        blueprint.get(rules)(self._list_rules)
        blueprint.post(rules)(self._add_rules)
        blueprint.delete(rules)(self._clear_rules)
        blueprint.get(received)(self._list_received)
        blueprint.delete(received)(self._clear_received)
        blueprint.after_request(_marked)
        return blueprint

    def _receive(self, _: str) -> Response:
        """Answer a call to Iterable, as a rule says or as the project judges."""
        call = read_call(time.time())
        stub = self._pick(call)
        response, due = self._judged(call, stub)
        status = None if stub.lost else response.status_code
        with self._lock:
            number = next(self._numbers)
            self._calls.append(replace(call, number=number, status=status, due=due))
        if self._sender is not None and due is not None:
            self._sender.accepted(call, due, stub.receipt or SENT)
        self._closed.wait(stub.delay)
        return _lost() if stub.lost else response

    def _pick(self, call: Call) -> Stub:
        """Choose the first rule for a call and count it off; an empty one for none."""
        with self._lock:
            for index, stub in enumerate(self._stubs):
                if stub.matches(call):
                    left = None if stub.times is None else stub.times - 1
                    rest = [] if left == 0 else [replace(stub, times=left)]
                    self._stubs[index : index + 1] = rest
                    return stub
        return Stub()

    def _judged(self, call: Call, stub: Stub) -> Verdict:
        """Judge as the rule says; it may also decide whether a message goes out."""
        if stub.status is None:
            response, due = judge(call, self.calls())
        else:
            response = stub.answer()
            is_sent = call.path in MEDIA and stub.status in _SUCCESSES
            due = call.at if is_sent else None
        if stub.accepts is not None:
            due = (due or call.at) if stub.accepts else None
        return Verdict(response, due)

    def _list_rules(self) -> Response:
        with self._lock:
            return as_json({"rules": [one.shown() for one in self._stubs]})

    def _add_rules(self) -> Response:
        try:
            stubs = read_stubs(read_json())
        except ValueError as problem:
            return as_json({"error": str(problem)}, 400)
        with self._lock:
            self._stubs.extend(stubs)
        return as_json({"rules": [one.shown() for one in stubs]}, 201)

    def _clear_rules(self) -> Response:
        with self._lock:
            self._stubs.clear()
        return Response(status=204)

    def _list_received(self) -> Response:
        since = request.args.get("since", 0, type=int)
        calls = self.calls(since)
        last = calls[-1].number if calls else since
        if "all" not in request.args:
            calls = [one for one in calls if one.method == "POST"]
        return as_json({"last": last, "received": [one.shown() for one in calls]})

    def _clear_received(self) -> Response:
        with self._lock:
            self._calls.clear()
        return Response(status=204)


def _marked(response: Response) -> Response:
    response.headers[HEADER] = _KIND
    return response


def _lost() -> Response:
    """Close the connection, so that no answer gets through."""
    for name in ("werkzeug.socket", "gunicorn.socket"):
        connection = request.environ.get(name)
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
    return Response(status=500)
