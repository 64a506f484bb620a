"""Webhooks: verified, stored, answered; every rejection counted."""

import gzip
import json
from io import BytesIO
from typing import Any

import pytest
from flask import request

from bridge.errors import StoreUnavailable
from bridge.integrations.voucherify.signature import sign
from bridge.store import events
from tests.web.conftest import HOOK, KEY, RECEIPTS, SECRET, Application, Start, body_of

RAW = b'{"campaignId": 7, "recipientUserId": "crm-1", "dataFields": {"code": "A-1"}}'
pytestmark = pytest.mark.integration


def test_a_compatible_endpoint_answers_as_the_vendor(web: Application) -> None:
    key = {"Api-Key": KEY}
    answer = web.post(RAW, "/api/email/target", headers=key, signed=False)
    assert answer.status_code == 200
    assert answer.get_json()["code"] == "Success"
    with web.bridge.store.read() as tx:
        stored = events.get(tx, answer.headers["X-Event-Id"])
    assert stored is not None
    assert stored.capture.endpoint == "email/target"
    wrong = web.post(RAW, "/api/email/target", headers={"Api-Key": "x"}, signed=False)
    assert wrong.status_code == 401
    assert "Api-Key is not one of those known" in wrong.get_json()["msg"]
    assert wrong.headers["X-Request-Id"]


def test_gzip_is_unpacked_within_the_limit(web: Application) -> None:
    body = body_of()
    packed = {"Content-Encoding": "gzip", "X-Voucherify-Signature": sign(body, SECRET)}
    answer = web.post(gzip.compress(body), headers=packed, signed=False)
    assert answer.get_json()["status"] == "stored"
    bomb = gzip.compress(b" " * 200_000)
    assert web.post(bomb, headers=packed, signed=False).status_code == 413
    signed_bomb = web.post(bomb, headers={"Content-Encoding": "gzip"})
    assert signed_bomb.get_json()["status"] == "parked"
    no_gzip = web.post(b"no gzip", headers={"Content-Encoding": "gzip"})
    assert no_gzip.get_json()["status"] == "parked"


def test_a_body_beyond_the_limit_is_answered_413(web: Application) -> None:
    assert web.post(b" " * 100_001).status_code == 413
    endless = web.client.post(
        HOOK, input_stream=BytesIO(b"x" * 200_000), headers={"Transfer-Encoding": "x"}
    )
    assert endless.status_code == 413
    failing = web.logged("webhook.failing")
    assert [line["failures"] for line in failing] == [1, 2]
    assert web.post(body_of()).status_code == 202


def test_a_body_that_ends_too_early_is_not_stored(web: Application) -> None:
    answer = web.client.post(
        "/api/email/target",
        data=RAW,
        headers={"Api-Key": KEY},
        environ_overrides={"CONTENT_LENGTH": "500"},
    )
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/webhooks/nobody", "/api/email/nothing", "/v1/vouchers", "/segmentio/x", "/api/"],
)
def test_a_post_without_an_endpoint_names_those_there_are_and_counts(
    web: Application, path: str
) -> None:
    answer = web.post(body_of(), path, signed=False)
    assert answer.status_code == 404
    for known in (HOOK, "/api/email/target", "/webhooks/iterable"):
        assert known in answer.get_json()["detail"]
    assert web.failures == 1


def test_an_authentic_webhook_without_an_endpoint_is_an_error_at_once(
    web: Application,
) -> None:
    assert web.post(body_of()).status_code == 202
    assert web.post(body_of(), "/webhooks/voucherfy").status_code == 404
    assert web.failures == 1
    assert web.logged("webhook.failing")[0]["status"] == 404


def test_other_methods_and_pages_count_as_no_webhook(web: Application) -> None:
    answer = web.client.get(HOOK)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}
    assert web.client.post("/nope").status_code == 404
    assert web.client.get("/webhooks/nobody").status_code == 404
    assert HOOK not in web.client.post("/nope").get_data(as_text=True)
    assert web.failures == 0


def test_strangers_neither_raise_nor_clear_the_alert(web: Application) -> None:
    for _ in range(3):
        web.post(body_of(), signed=False)
    assert web.failures == 3
    assert web.logged("webhook.failing")[0]["failures"] == 3
    web.post(body_of())
    for _ in range(20):
        web.post(body_of(), signed=False)
    assert web.failures == 0


class _Broken:
    """An intake whose store is away, or that has a bug."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def receive(self, *_: Any, **__: Any) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "status"),
    [(StoreUnavailable("away"), 503), (ValueError("a bug with CODE-1"), 500)],
)
def test_what_is_not_stored_is_answered_5xx_and_counts(
    web: Application, error: Exception, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web.bridge.intake, "receive", _Broken(error).receive)
    for _ in range(3):
        answer = web.post(body_of())
    assert answer.status_code == status
    assert (status == 503) == ("Retry-After" in answer.headers)
    assert "CODE-1" not in answer.get_data(as_text=True)
    assert web.failures == 3
    assert len(web.logged("webhook.failing")) == 1


def test_many_large_bodies_at_once_are_bounded(
    web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.web.bodies.MAX_HELD", 1000)
    assert web.post(body_of()).status_code == 503
    monkeypatch.undo()
    assert web.post(body_of()).status_code == 202


def test_a_receipt_is_verified_and_handled(web: Application) -> None:
    body = json.dumps({"eventName": "emailSend", "dataFields": {}}).encode()
    secret = {"Authorization": f"Bearer {RECEIPTS}"}
    answer = web.post(body, "/webhooks/iterable", headers=secret, signed=False)
    assert answer.status_code == 202
    assert answer.get_json() == {"status": "unmatched", "delivery_id": None}
    other = web.post(b"{}", "/webhooks/iterable", headers=secret, signed=False)
    assert other.get_json()["status"] == "ignored"
    assert web.post(body, "/webhooks/iterable").status_code == 401


def test_a_proxy_is_trusted_only_where_it_is_configured(start: Start) -> None:
    seen = []
    for proxies in (0, 1):
        web = start(proxies=proxies)

        def note() -> None:
            seen.append(request.remote_addr)

        web.app.before_request(note)
        web.client.get("/healthz", headers={"X-Forwarded-For": "9.9.9.9"})
    assert seen == ["127.0.0.1", "9.9.9.9"]
