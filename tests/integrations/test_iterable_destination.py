"""Iterable as a destination: what is sent, what answers mean, what is never kept."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import responses
from responses import matchers

from bridge.config import DestinationConfig, Match, Route, Verify
from bridge.errors import (
    NoAnswerError,
    NotSentError,
    RecipientError,
    TransportError,
)
from bridge.http import HttpClient, Reply
from bridge.integrations.iterable.compat import TARGETS
from bridge.integrations.iterable.destination import IterableDestination
from bridge.integrations.iterable.responses import classify
from bridge.model import Classification, FailureScope, Outcome, Recipient, UserId

SAMPLES = Path(__file__).parents[2] / "samples" / "iterable"
URL = "https://api.iterable.com"
KEY = "itbl-example-key-0123456789abcdef"
BODY = b'{"campaignId":1,"recipientUserId":"u"}'
HEADERS = {
    "Api-Key": KEY,
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "reward-bridge",
}


def fixtures(kind: str | None) -> list[Any]:
    found = [json.loads(path.read_text()) for path in sorted(SAMPLES.glob("s*.json"))]
    return [
        pytest.param(one, id=one["id"])
        for one in found
        if one.get("kind") == kind
        and (one["request"]["path"].endswith("/target") or kind)
    ]


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=body)


def answer(status: int, code: str | None, params: Any = None, msg: str = "") -> Reply:
    body = {"msg": msg, "params": params}
    return reply(status, body if code is None else {**body, "code": code})


def outcome(got: Reply, *, is_send: bool = True) -> Outcome:
    return classify(got, is_send=is_send, key_name="ITERABLE_API_KEY")


def played(fixture: dict[str, Any]) -> Outcome:
    request, response = fixture["request"], fixture["response"]
    is_send = request["path"].endswith("/target")
    if response is None:
        errors: dict[str, TransportError] = {
            "connect_error": NotSentError("the connection was refused"),
            "read_timeout": NoAnswerError("it took too long"),
        }
        return classify(None, errors[fixture["transport"]], is_send=is_send)
    text = response.get("body_text") or json.dumps(response["body"])
    got = Reply(
        status=response["status"], headers=response["headers"], body=text.encode()
    )
    return classify(got, is_send=is_send)


CONFIG = DestinationConfig(
    name="iterable",
    kind="iterable",
    base_url=URL,
    timeout=timedelta(seconds=15),
    rate_per_second=50,
    verify=Verify(after=timedelta(seconds=60), rate_per_second=3),
    secrets={"api_key": (KEY,)},
    variables={"api_key": "ITERABLE_API_KEY"},
)


def route(
    campaign_id: int | None = 7, endpoint: str = "inApp/target", **match: Any
) -> Route:
    return Route(
        name="any",
        source="voucherify",
        match=Match(**match),
        recipient=("source_id",),
        destination="iterable",
        endpoint=endpoint,
        campaign_id=campaign_id,
        template="t.j2",
    )


@pytest.fixture(scope="module")
def http() -> Iterator[HttpClient]:
    made = HttpClient()
    yield made
    made.close()


@pytest.fixture
def client(http: HttpClient) -> IterableDestination:
    return IterableDestination(CONFIG, http)


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


# The samples of calls that the bridge makes.


@pytest.mark.parametrize("fixture", fixtures(None))
def test_every_call_is_classified_as_its_fixture_expects(
    fixture: dict[str, Any],
) -> None:
    expected, got = fixture["expected"], played(fixture)
    after = got.retry_after
    assert got.classification == expected["classification"]
    assert (got.scope is not None) == expected["stop_route"]
    assert got.is_unknown == expected["verify_first"]
    assert (after and after.total_seconds()) == expected["retry_after_s"]
    assert got.message_id == (
        str(expected["scheduled_message_id"])
        if expected.get("scheduled_message_id")
        else None
    )
    if "max_attempts" in expected:
        assert got.max_attempts == expected["max_attempts"]
    assert not [text for text in expected["must_not_log"] if text in repr(got)]


@pytest.mark.parametrize("fixture", fixtures("config_check"))
def test_every_campaign_is_judged_as_its_fixture_expects(
    fixture: dict[str, Any], client: IterableDestination, wire: responses.RequestsMock
) -> None:
    request, response = fixture["request"], fixture["response"]
    for _ in range(2):
        wire.get(
            URL + request["path"],
            status=response["status"],
            json=response["body"],
            match=[matchers.header_matcher(request["headers"])],
        )
    given, expected = fixture["route"], fixture["expected"]
    asked = route(given["campaign_id"], f"{given['medium']}/target")
    words = {
        "campaign_not_found": "there is no such campaign",
        "campaign_not_running": "activate it",
    }
    found = client.check(asked)
    assert (found is None) == (expected["reason"] is None)
    assert words.get(expected["reason"], "") in (found or "")
    got = client.probe(asked)
    assert got.classification == expected["classification"]
    assert (got.scope is FailureScope.ROUTE) == expected["stop_route"]
    assert not [text for text in expected["must_not_log"] if text in repr(got)]


# What leaves.


@pytest.mark.parametrize("endpoint", TARGETS)
def test_a_payload_is_sent_as_it_is_with_the_key(
    client: IterableDestination, wire: responses.RequestsMock, endpoint: str
) -> None:
    wire.post(
        f"{URL}/api/{endpoint}",
        json={"msg": "", "code": "Success", "params": None},
        match=[
            matchers.header_matcher(HEADERS),
            matchers.json_params_matcher(json.loads(BODY)),
        ],
    )
    got = client.send(endpoint, BODY)
    assert got.classification is Classification.SUCCESS
    assert [call.request.body for call in wire.calls] == [BODY]


@pytest.mark.parametrize(
    ("error", "is_unknown", "reason"),
    [
        (NotSentError("the connection was refused"), False, "not sent: the connection"),
        (NoAnswerError("it took too long"), True, "no whole answer: it took too long"),
    ],
)
def test_a_call_without_an_answer_is_repeated_or_in_doubt(
    client: IterableDestination,
    wire: responses.RequestsMock,
    error: TransportError,
    is_unknown: bool,
    reason: str,
) -> None:
    wire.post(f"{URL}/api/sms/target", body=error)
    got = client.send("sms/target", BODY)
    assert got.classification is Classification.RETRY
    assert got.is_unknown is is_unknown
    assert got.max_attempts == (5 if is_unknown else None)
    assert (got.status, got.code, got.scope) == (None, None, None)
    assert got.reason.startswith(reason)
    assert len(wire.calls) == 1


CAMPAIGN = {
    "id": 7,
    "type": "Triggered",
    "campaignState": "Running",
    "messageMedium": "InApp",
}


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, CAMPAIGN, None),
        (200, {**CAMPAIGN, "type": "Blast"}, "of type Triggered"),
        (200, {**CAMPAIGN, "campaignState": "Ready"}, "activate it"),
        (200, {**CAMPAIGN, "messageMedium": "Email"}, "another medium"),
        (200, "<html>hello</html>", "cannot be asked"),
        (401, {"code": "BadApiKey"}, "rejects ITERABLE_API_KEY"),
        (404, "<html><h1>Action not found</h1></html>", "no such campaign"),
        (None, NotSentError("refused"), "cannot be asked"),
    ],
)
def test_a_campaign_is_told_from_a_misfit(
    client: IterableDestination,
    wire: responses.RequestsMock,
    status: int | None,
    body: Any,
    expected: str | None,
) -> None:
    is_given = isinstance(body, str | Exception)
    content = body if is_given else json.dumps(body)
    wire.get(f"{URL}/api/campaigns/7", status=status or 200, body=content)
    found = client.check(route())
    assert (found is None) == (expected is None)
    assert (expected or "") in (found or "")
    assert len(wire.calls) == 1


# What each answer means.

S, L, R, P, C = (
    Classification.SUCCESS,
    Classification.SUCCESS_LIKE,
    Classification.RETRY,
    Classification.PERMANENT,
    Classification.CONFIG,
)
CONFIG_BY_CODE = {
    "BadApiKey": FailureScope.DESTINATION,
    "BadAuthorizationHeader": FailureScope.DESTINATION,
    "InvalidJwtPayload": FailureScope.DESTINATION,
    "JwtUserIdentifiersMismatched": FailureScope.DESTINATION,
    "Unauthorized": FailureScope.DESTINATION,
    "Forbidden": FailureScope.ROUTE,
    "ForbiddenParamsError": FailureScope.ROUTE,
    "NotFound": FailureScope.ROUTE,
    "UniqueFieldsLimitExceeded": FailureScope.ROUTE,
}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (200, "Success", S),
        (200, None, S),
        (202, None, S),
        (200, "NeverSeen", S),
        (200, "InvalidUserIdError", P),
        (200, "RateLimitExceeded", R),
        (400, "BadJsonBody", P),
        (400, "BadParams", P),
        (400, "InvalidEmailAddressError", P),
        (400, "InvalidUserIdError", P),
        (400, "UnknownUserIdError", P),
        (400, "UnknownEmailError", P),
        (400, "ForgottenUserError", L),
        (409, "ForgottenUserError", L),
        (400, "RequestFieldsTypesMismatched", P),
        (413, None, P),
        (400, "GenericError", P),
        (400, "Success", P),
        (400, "NeverSeen", P),
        (400, None, P),
        (402, None, R),
        (421, None, R),
        (425, None, R),
        (409, "Conflict", P),
        (415, None, P),
        (422, None, P),
        (408, None, R),
        (429, None, R),
        (500, "GenericError", R),
        (500, "InvalidUserIdError", R),
        (500, "Success", R),
        (502, None, R),
        (503, "GenericError", R),
        (504, None, R),
        (529, None, R),
        (199, None, R),
        (777, None, R),
    ],
)
def test_status_decides_first_and_code_second(
    status: int, code: str | None, expected: Classification
) -> None:
    got = outcome(answer(status, code))
    assert got.classification is expected
    assert (got.status, got.code, got.scope) == (status, code, None)


@pytest.mark.parametrize(
    ("status", "code", "scope"),
    [
        (301, None, FailureScope.DESTINATION),
        (303, "Success", FailureScope.DESTINATION),
        (401, None, FailureScope.DESTINATION),
        (401, "Success", FailureScope.DESTINATION),
        (403, None, FailureScope.ROUTE),
        (404, None, FailureScope.ROUTE),
        (404, "error.catalogs.notFound", FailureScope.ROUTE),
        *[(400, code, scope) for code, scope in CONFIG_BY_CODE.items()],
        *[(200, code, scope) for code, scope in CONFIG_BY_CODE.items()],
    ],
)
def test_a_configuration_error_names_the_circuit_it_opens(
    status: int, code: str | None, scope: FailureScope
) -> None:
    got = outcome(answer(status, code))
    assert (got.classification, got.scope) == (C, scope)


@pytest.mark.parametrize(
    "got",
    [
        answer(400, "BadParams", {"campaignId": "42"}),
        answer(409, "BadParams", {"campaignId": "42"}),
        answer(400, "BadParams", None, "Invalid Campaign Id 42"),
        answer(400, "BadParams", {}, "invalid campaignId"),
        answer(400, None, None, "Invalid campaign"),
        answer(400, "BadJsonBody", {"obj.campaignId": "Number value expected"}),
    ],
)
def test_a_rejected_campaign_stops_the_route(got: Reply) -> None:
    assert outcome(got).classification is C
    assert outcome(got).scope is FailureScope.ROUTE


@pytest.mark.parametrize(
    "got",
    [
        answer(400, "BadParams", {"email": "x"}, "Invalid campaignId"),
        answer(400, "InvalidUserIdError", None, "Invalid campaignId"),
        answer(400, "BadJsonBody", {"obj.dataFields": "Object expected"}),
        answer(400, "BadParams", ["campaignId"]),
    ],
)
def test_text_decides_only_where_nothing_else_does(got: Reply) -> None:
    assert outcome(got).classification is P


@pytest.mark.parametrize(
    ("status", "is_unknown"),
    [(408, True), (500, True), (502, True), (504, True), (503, False), (429, False)],
)
def test_only_a_send_that_may_have_been_processed_is_in_doubt(
    status: int, is_unknown: bool
) -> None:
    assert outcome(reply(status)).is_unknown is is_unknown
    assert not outcome(reply(status), is_send=False).is_unknown
    assert outcome(reply(status)).max_attempts == (5 if is_unknown else None)


# Bodies to survive.


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"Success"',
        b"ok",
        b'{"code":',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_an_unreadable_success_counts_and_is_unexpected(body: bytes) -> None:
    got = outcome(reply(200, body))
    assert got.classification is S
    assert (got.is_unexpected, got.code, got.params) == (True, None, ())
    assert outcome(reply(400, body)).classification is P
    assert outcome(reply(500, body)).is_unknown


def test_what_is_kept_is_status_code_keys_and_request_id() -> None:
    got = outcome(
        reply(
            400,
            {"msg": "to ann@example.com", "code": "BadParams", "params": {"email": 1}},
            iterable_request_id="0a1b-2c3d",
        )
    )
    assert got.request_id == "0a1b-2c3d"
    assert got.params == ("email",)
    assert got.reason == "status 400, code BadParams, params email: rejected for good"


def test_nothing_that_looks_personal_is_kept() -> None:
    secrets = ["ann@example.com", "BDAY-7K2M-91QX", KEY, "+4915112345678", "a b"]
    for secret in secrets:
        body = {"msg": secret, "code": secret, "params": {secret: secret, "ok": secret}}
        for status in (200, 400, 401, 500):
            got = outcome(reply(status, body, iterable_request_id=f"{secret} {secret}"))
            assert secret not in repr(got)
            assert got.params == ("ok",)


# How long to wait.

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CAP = timedelta(minutes=15)


def in_(delta: timedelta) -> str:
    return format_datetime(NOW + delta, usegmt=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("60", timedelta(seconds=60)),
        ("900", CAP),
        ("315360000", CAP),
        ("9" * 5000, CAP),
        (in_(timedelta(seconds=90)), timedelta(seconds=90)),
        (in_(timedelta(seconds=90)).replace("GMT", "-0000"), timedelta(seconds=90)),
        (in_(timedelta(seconds=-90)), None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("0", None),
        ("-5", None),
        ("\u0663", None),
        ("", None),
    ],
)
def test_retry_after_is_read_within_its_cap_and_nonsense_is_harmless(
    header: str, expected: timedelta | None
) -> None:
    date = format_datetime(NOW, usegmt=True)
    got = outcome(reply(429, {}, retry_after=header, date=date))
    assert (got.classification, got.retry_after) == (R, expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, timedelta(seconds=7)),
        (0.5, timedelta(seconds=0.5)),
        (10**400, CAP),
        (float("inf"), CAP),
        (float("nan"), None),
        (0, None),
        (True, None),
        (None, None),
    ],
)
def test_the_reset_of_a_rate_limit_is_in_seconds(
    value: Any, expected: timedelta | None
) -> None:
    params = {"rateLimitReset": value}
    assert outcome(answer(429, "RateLimitExceeded", params)).retry_after == expected


# Recipients, and whose base URL it is.


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x" * 53, "more than 52"),
        ("zo\u00eb", "beyond printable ASCII"),
        ("a\x7f", "beyond printable ASCII"),
        ("crm-1 ", "ends in a blank"),
    ],
)
def test_a_user_id_that_iterable_rejects_is_rejected_here(
    client: IterableDestination, name: str, reason: str
) -> None:
    with pytest.raises(RecipientError, match=reason):
        client.check_recipient(Recipient(user_id=UserId(name)))


# Asking what was sent.

PERSON = Recipient(user_id=UserId("crm-1"))


def test_only_messages_of_the_campaigns_asked_for_are_counted(
    client: IterableDestination, wire: responses.RequestsMock
) -> None:
    found = [{"campaignId": 1}, {"campaignId": 9}, {"campaignId": "1"}, None]
    query = {
        "userId": "crm-1",
        "campaignIds": "1,2",
        "startDateTime": "2026-03-04 05:06:07 +00:00",
        "limit": "1000",
    }
    wire.get(
        f"{URL}/api/users/getSentMessages",
        json={"messages": found},
        headers={"date": format_datetime(NOW, usegmt=True)},
        match=[matchers.query_param_matcher(query)],
    )
    assert client.verification is not None
    sent = client.verification.sent_messages(PERSON, [2, 1], NOW)
    assert (sent.count, sent.server_time) == (1, NOW)


# Payloads.


GOOD = {"campaignId": 7, "recipientUserId": "crm-1", "dataFields": {"a": None}}


def test_a_sound_payload_is_sent_without_keys_that_are_null(
    client: IterableDestination,
) -> None:
    document = GOOD | {"recipientEmail": None, "metadata": {}}
    checked = client.check_payload(route(), "email/target", document, PERSON)
    assert checked.document == GOOD | {"metadata": {}}
    assert (checked.dropped, checked.names_campaign) == (0, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data_fields": {}}, "`data_fields` is no key of sms/target"),
        ({"ana@shop.example": 1}, "a key is no key of sms/target"),
        ({"metadata": {}}, "`metadata` is no key of sms/target"),
        ({"campaignId": None}, "campaignId is missing"),
        ({"campaignId": "7"}, "campaignId must be a whole number"),
        ({"campaignId": True}, "campaignId must be a whole number"),
        ({"recipientUserId": None}, "exactly one of"),
        ({"recipientEmail": "a@b"}, "exactly one of"),
        ({"recipientUserId": ""}, "recipientUserId must be a text"),
        ({"dataFields": []}, "dataFields must be an object"),
        ({"sendAt": "tomorrow"}, "sendAt must be a UTC time"),
        ({"sendAt": "2026-02-30 00:00:00"}, "sendAt must be a UTC time"),
        ({"allowRepeatMarketingSends": 1}, "must be true or false"),
    ],
)
def test_a_payload_that_iterable_would_misread_is_rejected(
    client: IterableDestination, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        client.check_payload(route(), "sms/target", GOOD | changes, PERSON)
    with pytest.raises(ValueError, match="must be an object"):
        client.check_payload(route(), "sms/target", [GOOD], PERSON)


def test_a_raw_body_gets_the_routes_recipient_and_loses_unknown_keys(
    client: IterableDestination,
) -> None:
    body = {
        "campaignId": " 42 ",
        "recipientEmail": "ana@shop.example",
        "recipientUserId": 7,
        "dataFields": {"empty": ""},
        "voucherify": {},
    }
    checked = client.check_payload(route(None, raw=True), "email/target", body, PERSON)
    assert checked.document == {
        "campaignId": 42,
        "recipientUserId": "crm-1",
        "dataFields": {"empty": ""},
    }
    assert (checked.dropped, checked.names_campaign) == (1, True)
    by_route = client.check_payload(route(9, raw=True), "email/target", body, PERSON)
    assert by_route.document["campaignId"] == 9
    assert not by_route.names_campaign
    with pytest.raises(ValueError, match="campaignId is missing"):
        client.check_payload(route(None, raw=True), "email/target", {}, PERSON)
