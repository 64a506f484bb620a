"""What goes past Flask, and what does not."""

import time
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import pytest

from bridge.errors import StoreUnavailable
from bridge.intake import Intake, Pending
from bridge.model import Arrival, EventStatus, Stored
from bridge.server.exchange import WHOLE_AT
from bridge.voucherify import sign
from bridge.web.fast_path import FastPath
from bridge.web.proof import Proof
from bridge.web.receiver import Door

SECRET, BODY, PATH = "vf-test-secret-1", b'{"type": "x"}', "/webhooks/voucherify"


class Kept:
    """A store that keeps everything at once, or nothing."""

    def __init__(self, *, is_down: bool = False) -> None:
        self.arrivals: list[Arrival] = []
        self._is_down = is_down

    def enlist(self, arrival: Arrival, *, timeout: float, again: str | None) -> Pending:
        assert timeout > 0
        assert again is None
        if self._is_down:
            raise StoreUnavailable("down")
        self.arrivals.append(arrival)
        return self

    def wait(self) -> Stored:
        return Stored(
            event_id="e", status=EventStatus.IGNORED, reason=None, deliveries=()
        )


class Rest:
    """Stands where Flask stands; notes the bodies it could read."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.bodies.append(environ["wsgi.input"].read())
        start_response("418 I'm a teapot", [])
        return [b""]


def ask(kept: Kept, rest: Rest, **changes: Any) -> tuple[str, dict[str, str], bytes]:
    door = Door(None, Proof([SECRET], ()), Intake((), kept.enlist, lambda: "id"))
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": PATH,
        "wsgi.input": BytesIO(BODY),
        "HTTP_X_VOUCHERIFY_SIGNATURE": sign(BODY, SECRET),
        "HTTP_X_REQUEST_ID": "asked-1",
        WHOLE_AT: time.monotonic(),
        **changes,
    }
    environ = {name: value for name, value in environ.items() if value is not None}
    heads: list[tuple[str, dict[str, str]]] = []
    path = FastPath({PATH: door}, rest)
    answer = path(environ, lambda status, head: heads.append((status, dict(head))))
    body = b"".join(answer)
    ((status, head),) = heads
    return status, head, body


def test_a_proven_webhook_is_answered_without_flask() -> None:
    kept, rest = Kept(), Rest()
    status, head, body = ask(kept, rest)
    assert status == "202 ACCEPTED"
    assert body == b'{"event_id": "e", "status": "ignored", "deliveries": []}'
    assert head["Content-Length"] == str(len(body))
    assert head["X-Request-Id"] == "asked-1"
    assert [one.capture.body for one in kept.arrivals] == [BODY]
    assert rest.bodies == []


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"REQUEST_METHOD": "GET"}, id="method"),
        pytest.param({"PATH_INFO": PATH + "/"}, id="path"),
        pytest.param({WHOLE_AT: None}, id="of another server"),
        pytest.param({"HTTP_X_VOUCHERIFY_SIGNATURE": "0"}, id="not proven"),
        pytest.param({WHOLE_AT: 0.0}, id="too late"),
    ],
)
def test_everything_else_is_flasks_with_its_body_unread(
    changes: dict[str, Any],
) -> None:
    kept, rest = Kept(), Rest()
    status, *_ = ask(kept, rest, **changes)
    assert status.startswith("418")
    assert rest.bodies == [BODY]
    assert kept.arrivals == []


def test_what_cannot_be_queued_is_flasks_to_refuse() -> None:
    rest = Rest()
    assert ask(Kept(is_down=True), rest)[0].startswith("418")
    assert rest.bodies == [BODY]
