"""The doors with Flask's test client, a real bridge behind them."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
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
from bridge.errors import StoreUnavailable
from bridge.intake import Intake, Pending
from bridge.model import ENDPOINTS, Capture, Stored
from bridge.server.exchange import WHOLE_AT
from bridge.store import DeliveryFilter, EventFilter
from bridge.voucherify import sign
from bridge.web import create_app

SECRET, TOKEN, KEY = "vf-test-secret-1", "inbound-token", "iterable-key"
SAMPLES = Path(__file__).parents[2] / "samples" / "voucherify"
REWARD = next(SAMPLES.glob("07_*.json")).read_bytes()
Opened = Callable[[Bridge], FlaskClient]
RAW = next(SAMPLES.glob("06_*.json")).read_bytes()
FILE = """
iterable: {data_center: us}
templates: TEMPLATES
receive: {max_body_bytes: 100000}
routes:
  - {name: raw, when: {raw: true}, template: passthrough.json.j2}
  - {name: rewards, when: {}, campaign_id: 1, template: triggered_email.json.j2}
"""


@pytest.fixture
def bridge(tmp_path: Path, empty_ledger: Path) -> Iterator[Bridge]:
    shutil.copy(empty_ledger, tmp_path / "bridge.db")
    path = tmp_path / "config.yaml"
    path.write_text(FILE.replace("TEMPLATES", str(SAMPLES.parents[1] / "templates")))
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
        "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
        "BRIDGE_INBOUND_TOKEN": TOKEN,
        "ITERABLE_API_KEY": KEY,
    }
    made = bootstrap.build(config.load(path, env, "receive"))
    yield made
    made.store.close()


@pytest.fixture(params=[False, True], ids=["any server", "our server"])
def opened(request: pytest.FixtureRequest) -> Opened:
    """Open the doors; only of our server's requests it is known that they are whole."""

    def client_of(bridge: Bridge) -> FlaskClient:
        app = create_app(bridge)
        inner = app.wsgi_app

        def whole(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            environ.setdefault(WHOLE_AT, time.monotonic())
            return inner(environ, start_response)

        if request.param:
            app.wsgi_app = whole  # type: ignore[method-assign] # as Flask's manual
        return app.test_client()

    return client_of


@pytest.fixture
def client(bridge: Bridge, opened: Opened) -> FlaskClient:
    return opened(bridge)


def post(client: FlaskClient, body: bytes, **headers: str) -> TestResponse:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    headers.setdefault("x-voucherify-signature", sign(body, SECRET))
    return client.post("/webhooks/voucherify", data=body, headers=headers)


def capture_of(bridge: Bridge, event_id: str) -> Capture:
    found = bridge.store.ledger.event(event_id)
    assert found is not None
    return found.capture


def stored(bridge: Bridge) -> list[Any]:
    return list(bridge.store.ledger.events(EventFilter()))


def assert_is_problem(answer: TestResponse, status: int) -> None:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    assert answer.headers["X-Request-Id"]
    problem = json.loads(answer.data)
    assert problem["status"] == status
    assert problem["title"]


def test_a_signed_webhook_is_stored_and_answered_202(
    bridge: Bridge, client: FlaskClient
) -> None:
    answer = post(client, REWARD)
    assert answer.status_code == 202
    content = json.loads(answer.data)
    assert set(content) == {"event_id", "status", "deliveries"}
    assert content["status"] == "stored"
    rows = bridge.store.ledger.deliveries(DeliveryFilter())
    assert content["deliveries"] == [row.id for row in rows]
    assert capture_of(bridge, content["event_id"]).body == REWARD


def test_a_second_copy_is_a_duplicate_of_the_same_delivery(
    client: FlaskClient,
) -> None:
    first, second = json.loads(post(client, REWARD).data), post(client, REWARD)
    assert second.status_code == 202
    assert json.loads(second.data) == first | {"status": "duplicate"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\xff", id="bytes"),
        pytest.param(b"[1, 2]", id="array"),
        pytest.param(b'{"a": "\\ud800"}', id="lone surrogate"),
        pytest.param(b"[" * 50_000, id="nested"),
        pytest.param(b'{"a": ' + b"9" * 50_000 + b"}", id="huge number"),
    ],
)
def test_whatever_is_signed_is_kept(client: FlaskClient, body: bytes) -> None:
    answer = post(client, body)
    assert answer.status_code == 202
    assert json.loads(answer.data)["status"] in ("parked", "ignored")


class Unparsed(Intake):
    """An intake that must not be reached."""

    def begin(self, capture: Capture, **_: Any) -> Pending:
        raise AssertionError(f"{len(capture.body)} unproven bytes came in")


@pytest.mark.parametrize("endpoint", ["webhooks/voucherify", "api/email/target"])
def test_an_unproven_webhook_is_refused_before_it_is_looked_at(
    bridge: Bridge, opened: Opened, endpoint: str
) -> None:
    intake = Unparsed((), bridge.store.commits.enlist, str)
    client = opened(replace(bridge, intake=intake))
    headers = {"X-Voucherify-Signature": sign(REWARD, "another secret")}
    answer = client.post(f"/{endpoint}", data=REWARD, headers=headers)
    assert_is_problem(answer, 401)
    assert answer.headers["WWW-Authenticate"]
    assert stored(bridge) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    path=st.sampled_from(["/webhooks/voucherify", "/api/sms/target", "/x", "/readyz"]),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE"]),
    body=st.binary(max_size=200),
    headers=st.dictionaries(
        st.sampled_from(
            ["Content-Type", "Content-Encoding", "Transfer-Encoding", "Host", "Range"]
        )
        | st.sampled_from(
            ["Api-Key", "X-Voucherify-Signature", "X-Request-Id", "Cookie"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60),
    ),
)
def test_nonsense_is_never_a_failure_and_never_stored(
    bridge: Bridge,
    opened: Opened,
    path: str,
    method: str,
    body: bytes,
    headers: dict[str, str],
) -> None:
    client = opened(bridge)
    answer = client.open(path, method=method, data=body, headers=headers)
    assert answer.status_code < 500
    assert answer.headers["X-Request-Id"]
    assert stored(bridge) == []


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("token", [TOKEN, KEY])
def test_the_drop_in_door_names_the_endpoint(
    bridge: Bridge, client: FlaskClient, endpoint: str, token: str
) -> None:
    answer = client.post(f"/api/{endpoint}", data=RAW, headers={"Api-Key": token})
    assert answer.status_code == 202
    (event,) = stored(bridge)
    assert event.door == endpoint
    assert token not in repr(capture_of(bridge, event.id))


def test_the_drop_in_door_takes_a_signature_too(client: FlaskClient) -> None:
    headers = {"X-Voucherify-Signature": sign(RAW, SECRET), "Api-Key": "left over"}
    assert client.post("/api/sms/target", data=RAW, headers=headers).status_code == 202


def test_a_token_does_not_replace_the_signature_of_a_webhook(
    client: FlaskClient,
) -> None:
    answer = post(client, REWARD, x_voucherify_signature="", api_key=TOKEN)
    assert_is_problem(answer, 401)


def test_without_a_secret_only_a_token_proves_a_webhook(
    bridge: Bridge, opened: Opened
) -> None:
    secrets = replace(bridge.config.secrets, voucherify=())
    client = opened(replace(bridge, config=replace(bridge.config, secrets=secrets)))
    assert_is_problem(post(client, REWARD), 401)
    assert_is_problem(post(client, REWARD, api_key=KEY), 401)
    assert post(client, REWARD, api_key=TOKEN).status_code == 202


def test_only_harmless_headers_are_kept(bridge: Bridge, client: FlaskClient) -> None:
    sent = {"Authorization": "Bearer s", "Cookie": "s", "Api-Key": "s", "X-Own": "s"}
    answer = post(client, REWARD, content_type="text/plain", user_agent="v", **sent)
    capture = capture_of(bridge, json.loads(answer.data)["event_id"])
    assert dict(capture.headers) == {
        "content-type": "text/plain",
        "user-agent": "v",
        "x-voucherify-signature": sign(REWARD, SECRET),
    }


@pytest.mark.parametrize(
    ("given_id", "is_kept"),
    [
        pytest.param("01-ab:C_d.e/f+g=", True, id="sane"),
        pytest.param("x" * 128, True, id="long"),
        pytest.param("x" * 129, False, id="too long"),
        pytest.param("", False, id="empty"),
        pytest.param("a b", False, id="blank"),
        pytest.param('"><script>', False, id="markup"),
    ],
)
def test_a_request_id_is_kept_if_it_is_sane(
    client: FlaskClient, given_id: str, is_kept: bool
) -> None:
    answer = post(client, REWARD, x_request_id=given_id)
    assert (answer.headers["X-Request-Id"] == given_id) is is_kept
    assert re.fullmatch(r"\S{1,128}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/webhooks/voucherify", 405),
        ("DELETE", "/api/email/target", 405),
        ("POST", "/healthz", 405),
        ("POST", "/api/fax/target", 404),
        ("POST", "/webhooks/voucherify/", 404),
        ("GET", "/", 404),
        ("POST", "/metrics", 405),
    ],
)
def test_a_wrong_door_is_a_problem_too(
    client: FlaskClient, method: str, path: str, status: int
) -> None:
    answer = client.open(path, method=method)
    assert_is_problem(answer, status)
    assert ("Allow" in answer.headers) is (status == 405)


def test_a_body_over_the_limit_is_413_under_any_server(bridge: Bridge) -> None:
    client = create_app(bridge).test_client()
    assert_is_problem(post(client, b"x" * 100_001), 413)


class Stuck(Intake):
    """An intake whose store does not answer; keeps the time it was given."""

    given = 0.0

    def begin(self, capture: Capture, *, timeout: float, **_: Any) -> Pending:
        self.given, self.capture = timeout, capture
        return self

    def wait(self) -> Stored:
        raise StoreUnavailable("not stored")


@pytest.fixture
def stuck(bridge: Bridge) -> Stuck:
    return Stuck((), bridge.store.commits.enlist, str)


def test_what_cannot_be_stored_is_503_with_retry_after(
    bridge: Bridge, opened: Opened, stuck: Stuck
) -> None:
    client = opened(replace(bridge, intake=stuck))
    answer = post(client, REWARD)
    assert_is_problem(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


def test_the_wait_for_a_thread_counts_as_time_to_store(
    bridge: Bridge, opened: Opened, stuck: Stuck
) -> None:
    client = opened(replace(bridge, intake=stuck))
    environ: dict[str, Any] = client.environ_base
    environ[WHOLE_AT] = time.monotonic() - 1.5
    assert_is_problem(post(client, REWARD), 503)
    assert 0 < stuck.given <= 2.5
    given, environ[WHOLE_AT] = stuck.given, time.monotonic() - 4.5
    assert_is_problem(post(client, REWARD), 503)
    assert stuck.given == given


def test_a_failure_is_a_problem_without_its_text(
    bridge: Bridge, opened: Opened
) -> None:
    class Broken(Intake):
        def begin(self, capture: Capture, **_: Any) -> Pending:
            raise ZeroDivisionError(f"secret {len(capture.body)}")

    intake = Broken((), bridge.store.commits.enlist, str)
    answer = post(opened(replace(bridge, intake=intake)), REWARD)
    assert_is_problem(answer, 500)
    assert b"secret" not in answer.data


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "webhooks/voucherify",
            "takes Voucherify's signature in X-Voucherify-Signature",
        ),
        ("api/sms/target", "X-Voucherify-Signature or a known token in Api-Key"),
    ],
)
def test_a_401_says_what_the_door_takes_and_is_a_warning(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str, words: str
) -> None:
    answer = client.post(f"/{path}", data=REWARD)
    assert json.loads(answer.data)["detail"].endswith(words)
    record = caplog.records[0]  # perhaps beside an alarm: others were refused before
    assert record.levelname == "WARNING"
    assert "request.refused" in record.getMessage()


def test_without_a_secret_the_door_asks_for_a_token_only(
    bridge: Bridge, opened: Opened
) -> None:
    secrets = replace(bridge.config.secrets, voucherify=())
    client = opened(replace(bridge, config=replace(bridge.config, secrets=secrets)))
    detail = json.loads(post(client, REWARD).data)["detail"]
    assert detail.endswith("this door takes a known token in Api-Key")


@pytest.mark.parametrize(
    ("path", "status"), [("/", 404), ("/webhooks/voucherify", 405)]
)
def test_a_wrong_door_is_logged(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, path: str, status: int
) -> None:
    with caplog.at_level("INFO"):
        client.get(path)
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert "request.refused" in record.getMessage()
    assert str(status) in record.getMessage()
