"""The door for Iterable's system webhooks, with Flask's test client."""

import json
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from bridge import bootstrap, config
from bridge.bootstrap import Bridge
from bridge.confirm import Confirm, Told
from bridge.errors import StoreUnavailable
from bridge.web import create_app
from bridge.web.reports import MAX_BODY_BYTES

SECRET, OLD = "iterable-s\u00e9cret-2", "iterable-secret-1"
FILE = """
iterable: {data_center: us}
routes: [{name: r, when: {}, campaign_id: 1, template: t.j2}]
"""
REPORT = (
    b'{"email": "docs@example.com", "eventName": "emailSend", '
    b'"dataFields": {"messageId": "m1", "campaignId": 49313}}'
)


@pytest.fixture
def bridge(tmp_path: Path, empty_ledger: Path) -> Iterator[Bridge]:
    shutil.copy(empty_ledger, tmp_path / "bridge.db")
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{}")
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
        "VOUCHERIFY_WEBHOOK_SECRET": "another",
        "ITERABLE_WEBHOOK_SECRET": f"{SECRET},{OLD}",
    }
    made = bootstrap.build(config.load(path, env, "receive"))
    yield made
    made.store.close()


@pytest.fixture
def client(bridge: Bridge) -> FlaskClient:
    return create_app(bridge).test_client()


def header(text: str) -> str:
    """Write text as WSGI has it: a character a byte."""
    return text.encode().decode("latin-1")


def post(client: FlaskClient, body: bytes = REPORT, **headers: str) -> TestResponse:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.post("/webhooks/iterable", data=body, headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": header(f"Bearer {SECRET}")},
        {"Authorization": header(f"Basic {SECRET}")},
        {"Authorization": f"whatever {OLD}"},
        {"Authorization": OLD},
        {"Authorization": f"Basic {b64encode(SECRET.encode()).decode()}"},
        {"Authorization": f"Basic {b64encode(f'me:{OLD}'.encode()).decode()}"},
        {"X_Bridge_Secret": header(SECRET)},
        {"X_Bridge_Secret": OLD, "Authorization": "Bearer wrong"},
    ],
    ids=[
        *("bearer", "basic", "any scheme", "no scheme", "basic in base64"),
        *("user and password", "own header", "own header beside a wrong one"),
    ],
)
def test_either_header_with_either_secret_proves_iterable(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    answer = post(client, REPORT, **headers)
    assert answer.status_code == 202
    assert answer.json == {"status": "unmatched", "delivery_id": None}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Authorization": f"Bearer {OLD}x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic \u00ff"},
        {"X_Bridge_Secret": ""},
        {"X_Bridge_Secret": f"{OLD},{OLD}"},
        {"Api_Key": OLD},
    ],
    ids=str,
)
def test_without_the_secret_nothing_is_kept(
    bridge: Bridge, client: FlaskClient, headers: dict[str, str]
) -> None:
    answer = post(client, REPORT, **headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.content_type == "application/problem+json"
    assert bridge.store.ledger.unmatched(10) == ([], 0)


def test_where_no_secret_is_set_the_door_says_so(bridge: Bridge) -> None:
    secrets = replace(bridge.config.secrets, iterable=())
    app = create_app(replace(bridge, config=replace(bridge.config, secrets=secrets)))
    answer = post(app.test_client(), Authorization="Bearer ")
    assert answer.status_code == 401
    assert b"ITERABLE_WEBHOOK_SECRET is not set" in answer.data


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\x00", b"[]", b"null", b"[" * 50_000, b'{"eventName": "emailOpen"}'],
    ids=["nothing", "bytes", "list", "null", "nested", "unknown event"],
)
def test_what_brings_no_news_is_taken_and_not_kept(
    bridge: Bridge, client: FlaskClient, body: bytes
) -> None:
    answer = post(client, body, X_Bridge_Secret=OLD)
    assert answer.status_code == 202
    assert answer.json == {"status": "ignored", "delivery_id": None}
    assert bridge.store.ledger.unmatched(10) == ([], 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    body=st.binary(max_size=300),
    headers=st.dictionaries(
        st.sampled_from(
            ["Authorization", "X-Bridge-Secret", "Content-Type", "Content-Encoding"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)
        | st.sampled_from([OLD, f"Bearer {OLD}", "Basic Og=="]),
    ),
)
def test_nonsense_is_never_a_failure(
    client: FlaskClient, body: bytes, headers: dict[str, str]
) -> None:
    answer = client.post("/webhooks/iterable", data=body, headers=headers)
    assert answer.status_code in (202, 401)


FIELDS = st.dictionaries(
    st.sampled_from(["messageId", "campaignId", "createdAt", "reason", "email"]),
    st.none() | st.integers() | st.text(max_size=30) | st.floats(),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=50,
)
@given(
    event=st.sampled_from(["emailSend", "smsSendSkip", "pushBounce"]),
    fields=FIELDS,
    user=st.none() | st.text(max_size=30),
    ids=st.dictionaries(
        st.sampled_from(["bridgeId", "publicationId"]), st.text(max_size=40)
    ),
)
def test_any_news_from_iterable_is_taken(
    client: FlaskClient, event: str, fields: Any, user: Any, ids: dict[str, str]
) -> None:
    data = fields | {"transactionalData": ids}
    body = {"eventName": event, "userId": user, "email": user, "dataFields": data}
    answer = post(client, json.dumps(body).encode(), X_Bridge_Secret=OLD)
    assert answer.status_code == 202


def test_a_repeat_says_so(client: FlaskClient) -> None:
    post(client, X_Bridge_Secret=OLD)
    assert post(client, X_Bridge_Secret=OLD).json == {
        "status": "repeated",
        "delivery_id": None,
    }


def test_a_report_that_is_too_large_is_413(client: FlaskClient) -> None:
    body = b"x" * (MAX_BODY_BYTES + 1)
    assert post(client, body, X_Bridge_Secret=OLD).status_code == 413
    assert post(client, body).status_code == 401


def test_what_cannot_be_stored_is_503(bridge: Bridge) -> None:
    class Stuck(Confirm):
        def begin(self, body: bytes, timeout: float) -> Callable[[], Told]:
            def finish() -> Told:
                raise StoreUnavailable(f"{len(body)} bytes not stored in {timeout} s")

            return finish

    stuck = Stuck(bridge.config, bridge.store)
    client = create_app(replace(bridge, confirm=stuck)).test_client()
    answer = post(client, X_Bridge_Secret=OLD)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_the_log_names_nobody(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        post(client, X_Bridge_Secret=OLD)
    (record,) = caplog.records
    assert "report.unmatched" in record.getMessage()
    assert "docs@example.com" not in record.getMessage()
