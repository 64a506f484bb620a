"""Iterable: what leaves, what each answer means, and what is never repeated."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import responses
from responses import matchers
from responses.registries import OrderedRegistry

from bridge.errors import ConfigError, NoAnswerError, NotSentError, TransportError
from bridge.http import Http, Reply
from bridge.iterable import Client, classify
from bridge.model import ENDPOINTS, Blame, Classification, Outcome

SAMPLES = Path(__file__).parents[2] / "samples" / "iterable"
URL = "https://api.iterable.com"
KEY = "itbl-example-key-0123456789abcdef"
TARGET = "POST /api/email/target"
BODY = b'{"campaignId":1,"recipientUserId":"u"}'
HEADERS = {
    "Api-Key": KEY,
    "Content-Type": "application/json",
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "reward-bridge",
}


def fixtures(kind: str | None, *, but: tuple[str, ...] = ()) -> list[Any]:
    paths = [path for path in sorted(SAMPLES.glob("s*.json")) if path.stem not in but]
    found = [json.loads(path.read_text()) for path in paths]
    return [pytest.param(one, id=one["id"]) for one in found if one.get("kind") == kind]


def reply(status: int, body: Any = b"", **headers: str) -> Reply:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, headers=named, body=body)


def answer(status: int, code: str | None, params: Any = None, msg: str = "") -> Reply:
    body = {"msg": msg, "params": params}
    return reply(status, body if code is None else {**body, "code": code})


def outcome(got: Reply, path: str = TARGET) -> Outcome:
    return classify(path, got, None)


def played(fixture: dict[str, Any]) -> Outcome:
    request, response = fixture["request"], fixture["response"]
    path = f"{request['method']} {request['path']}"
    if response is None:
        errors: dict[str, TransportError] = {
            "connect_error": NotSentError("the connection was refused"),
            "read_timeout": NoAnswerError("it took too long"),
        }
        return classify(path, None, errors[fixture["transport"]])
    text = response.get("body_text") or json.dumps(response["body"])
    got = Reply(
        status=response["status"], headers=response["headers"], body=text.encode()
    )
    return classify(path, got, None)


@pytest.fixture(scope="module")
def http() -> Iterator[Http]:
    made = Http(timedelta(seconds=15))
    yield made
    made.close()


@pytest.fixture
def client(http: Http) -> Client:
    return Client(http, URL, KEY)


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


# The fixtures. Kinds `system_webhook` (s34, s35) and `data_feed` (s36) are no calls
# of ours. `items` of bulk answers are left alone: the bridge sends one at a time.


@pytest.mark.parametrize("fixture", fixtures(None))
def test_every_call_is_classified_as_its_fixture_expects(
    fixture: dict[str, Any],
) -> None:
    expected, got = fixture["expected"], played(fixture)
    after = got.retry_after
    assert got.classification == expected["classification"]
    assert (got.blame is not None) == expected["stop_route"]
    assert got.is_unknown == expected["verify_first"]
    assert (after and after.total_seconds()) == expected["retry_after_s"]
    assert got.scheduled_message_id == expected.get("scheduled_message_id")
    if "max_attempts" in expected:
        assert got.max_attempts == expected["max_attempts"]
    assert not [text for text in expected["must_not_log"] if text in repr(got)]


#: Their `noop` tells of calls that deliver nothing, which the bridge does not make.
NO_DELIVERY = ("s20_track_bulk_empty", "s24_cancel_ok")


@pytest.mark.parametrize("fixture", fixtures(None, but=NO_DELIVERY))
def test_every_delivery_ends_as_its_fixture_expects(fixture: dict[str, Any]) -> None:
    got = played(fixture)
    match got.classification:
        case Classification.SUCCESS:
            delivery = "scheduled" if got.scheduled_message_id else "accepted"
        case Classification.SUCCESS_LIKE:
            delivery = "suppressed"
        case _:
            delivery = "unknown" if got.is_unknown else "none"
    assert delivery == fixture["expected"]["delivery"]


@pytest.mark.parametrize("fixture", fixtures("config_check"))
def test_every_campaign_is_judged_as_its_fixture_expects(
    fixture: dict[str, Any], client: Client, wire: responses.RequestsMock
) -> None:
    request, response = fixture["request"], fixture["response"]
    for _ in range(2):
        wire.get(
            URL + request["path"],
            status=response["status"],
            json=response["body"],
            match=[matchers.header_matcher(request["headers"])],
        )
    route, expected = fixture["route"], fixture["expected"]
    endpoint = f"{route['medium']}/target"
    assert client.check_campaign(route["campaign_id"], endpoint) == expected["reason"]
    got = client.probe(route["campaign_id"])
    assert got.classification == expected["classification"]
    assert (got.blame is Blame.ROUTE) == expected["stop_route"]
    assert not [text for text in expected["must_not_log"] if text in repr(got)]


# What leaves.


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_payload_leaves_as_it_is_with_the_key_and_the_timeouts(
    client: Client, wire: responses.RequestsMock, endpoint: str
) -> None:
    wire.post(
        f"{URL}/api/{endpoint}",
        json={"msg": "", "code": "Success", "params": None},
        match=[
            matchers.header_matcher(HEADERS, strict_match=True),
            matchers.json_params_matcher(json.loads(BODY)),
            matchers.request_kwargs_matcher({"stream": True, "timeout": (5, 15)}),
        ],
    )
    got = client.send(endpoint, BODY)
    assert got.classification is Classification.SUCCESS
    assert [call.request.body for call in wire.calls] == [BODY]


@responses.activate(registry=OrderedRegistry)
def test_answers_belong_to_their_calls(client: Client) -> None:
    url = f"{URL}/api/email/target"
    first = responses.post(
        url,
        status=429,
        json={"code": "RateLimitExceeded"},
        headers={"retry-after": "3"},
    )
    second = responses.post(url, json={"code": "Success"})
    got = [client.send("email/target", BODY) for _ in range(2)]
    assert got[0].retry_after == timedelta(seconds=3)
    assert [one.status for one in got] == [429, 200]
    assert (first.call_count, second.call_count) == (1, 1)


@pytest.mark.parametrize(
    ("error", "is_unknown", "reason"),
    [
        (NotSentError("the connection was refused"), False, "not sent: the connection"),
        (NoAnswerError("it took too long"), True, "no whole answer: it took too long"),
    ],
)
def test_a_call_without_an_answer_is_repeated_or_in_doubt(
    client: Client,
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
    assert (got.status, got.code, got.blame) == (None, None, None)
    assert got.reason.startswith(reason)
    assert len(wire.calls) == 1


def test_a_redirect_is_not_followed_and_blames_the_host(
    client: Client, wire: responses.RequestsMock
) -> None:
    headers = {"location": f"{URL}/elsewhere"}
    wire.post(f"{URL}/api/email/target", status=302, headers=headers)
    got = client.send("email/target", BODY)
    assert got.classification is Classification.CONFIG
    assert got.blame is Blame.DESTINATION
    assert len(wire.calls) == 1


def test_the_key_is_probed_without_naming_a_campaign(
    client: Client, wire: responses.RequestsMock
) -> None:
    query = matchers.query_param_matcher({"page": "1", "pageSize": "1"})
    wire.get(f"{URL}/api/campaigns", json={"campaigns": []}, match=[query])
    assert client.probe(None).classification is Classification.SUCCESS


def test_a_probe_that_gets_no_answer_leaves_no_doubt(
    client: Client, wire: responses.RequestsMock
) -> None:
    wire.get(f"{URL}/api/campaigns/7", body=NoAnswerError("it took too long"))
    got = client.probe(7)
    assert got.classification is Classification.RETRY
    assert got.is_unknown is False


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
        (200, {**CAMPAIGN, "type": "Blast"}, "campaign_not_triggered"),
        (200, {**CAMPAIGN, "campaignState": "Ready"}, "campaign_not_running"),
        (200, {**CAMPAIGN, "messageMedium": "Email"}, "campaign_wrong_medium"),
        (200, {**CAMPAIGN, "messageMedium": None}, "campaign_wrong_medium"),
        (200, "<html>hello</html>", "unreachable"),
        (200, [CAMPAIGN], "unreachable"),
        (302, {}, "unreachable"),
        (
            400,
            {"code": "BadParams", "params": {"campaignId": "7"}},
            "campaign_not_found",
        ),
        (400, {"code": "BadParams"}, "unreachable"),
        (401, {"code": "BadApiKey"}, "key_refused"),
        (403, {"code": "Forbidden"}, "key_refused"),
        (404, "<html><h1>Action not found</h1></html>", "campaign_not_found"),
        (429, {"code": "RateLimitExceeded"}, "unreachable"),
        (500, {"code": "GenericError"}, "unreachable"),
        (None, NotSentError("refused"), "unreachable"),
    ],
)
def test_a_campaign_is_told_from_a_misfit(
    client: Client,
    wire: responses.RequestsMock,
    status: int | None,
    body: Any,
    expected: str | None,
) -> None:
    is_given = isinstance(body, str | Exception)
    content = body if is_given else json.dumps(body)
    wire.get(f"{URL}/api/campaigns/7", status=status or 200, body=content)
    assert client.check_campaign(7, "inApp/target") == expected
    assert len(wire.calls) == 1


@pytest.mark.parametrize("key", ["schlüssel", "two\nlines", "\x7f"])
def test_a_key_that_no_header_can_carry_is_refused_at_once(
    http: Http, key: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Client(http, URL, key)
    assert [problem.path for problem in caught.value.problems] == ["iterable"]
    assert key not in repr(caught.value.problems)


# What each answer means.

S, L, R, P, C = (
    Classification.SUCCESS,
    Classification.SUCCESS_LIKE,
    Classification.RETRY,
    Classification.PERMANENT,
    Classification.CONFIG,
)
CONFIG_BY_CODE = {
    "BadApiKey": Blame.DESTINATION,
    "BadAuthorizationHeader": Blame.DESTINATION,
    "InvalidJwtPayload": Blame.DESTINATION,
    "JwtUserIdentifiersMismatched": Blame.DESTINATION,
    "Unauthorized": Blame.DESTINATION,
    "Forbidden": Blame.ROUTE,
    "ForbiddenParamsError": Blame.ROUTE,
    "NotFound": Blame.ROUTE,
    "UniqueFieldsLimitExceeded": Blame.ROUTE,
}


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (200, "Success", S),
        (201, "Success", S),
        (200, None, S),
        (202, None, S),
        (202, "Whatever", S),
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
        (400, "BatchTooLarge", P),
        (413, None, P),
        (400, "EmailAlreadyExists", P),
        (400, "UserIdAlreadyExists", P),
        (400, "QueueEmailError", P),
        (400, "GenericError", P),
        (400, "Success", P),
        (400, "NeverSeen", P),
        (400, None, P),
        (402, None, P),
        (409, "ExternalKeyConflict", P),
        (409, "Conflict", P),
        (415, None, P),
        (422, None, P),
        (408, None, R),
        (429, None, R),
        (500, "GenericError", R),
        (500, "QueueEmailError", R),
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
    assert (got.status, got.code, got.blame) == (status, code, None)


@pytest.mark.parametrize(
    ("status", "code", "blame"),
    [
        (301, None, Blame.DESTINATION),
        (303, "Success", Blame.DESTINATION),
        (401, None, Blame.DESTINATION),
        (401, "Success", Blame.DESTINATION),
        (403, None, Blame.ROUTE),
        (404, None, Blame.ROUTE),
        (404, "error.catalogs.notFound", Blame.ROUTE),
        *[(400, code, blame) for code, blame in CONFIG_BY_CODE.items()],
        *[(200, code, blame) for code, blame in CONFIG_BY_CODE.items()],
    ],
)
def test_a_configuration_error_names_the_gate_it_closes(
    status: int, code: str | None, blame: Blame
) -> None:
    got = outcome(answer(status, code))
    assert (got.classification, got.blame) == (C, blame)


@pytest.mark.parametrize(
    "got",
    [
        answer(400, "BadParams", {"campaignId": "42"}),
        answer(409, "BadParams", {"campaignId": "42"}),
        answer(400, "BadParams", None, "Invalid Campaign Id 42"),
        answer(400, "BadParams", {}, "invalid campaignId"),
        answer(400, None, None, "Invalid campaign"),
        answer(400, "BadJsonBody", {"obj.campaignId": "Number value expected"}),
        answer(400, "BadJsonBody", {"obj.workflowId": []}),
    ],
)
def test_a_refused_campaign_closes_the_route(got: Reply) -> None:
    assert outcome(got).classification is C
    assert outcome(got).blame is Blame.ROUTE


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
    paths = {
        path: outcome(reply(status), path).is_unknown
        for path in (TARGET, "POST /api/workflows/triggerWorkflow")
    }
    assert set(paths.values()) == {is_unknown}
    assert not outcome(reply(status), "POST /api/events/track").is_unknown
    assert not outcome(reply(status), "GET /api/campaigns/7").is_unknown
    assert outcome(reply(status)).max_attempts == (5 if is_unknown else None)


def test_only_a_429_pauses_the_destination() -> None:
    statuses = [200, 400, 401, 429, 500, 503]
    pausing = [one for one in statuses if outcome(reply(one)).pauses_destination]
    assert pausing == [429]


@pytest.mark.parametrize(
    ("path", "got", "expected"),
    [
        ("/api/push/cancel", (400, "BadParams", "No scheduled messages found"), L),
        ("/api/push/cancel", (400, "BadParams", "something else"), P),
        ("/api/email/target", (400, "BadParams", "No scheduled messages found"), P),
        ("/api/events/track", (200, None, "x is Disallowed from tracking."), P),
        ("/api/email/target", (200, None, "x is disallowed from tracking."), S),
        ("/api/events/trackBulk", (413, None, ""), R),
        ("/api/users/bulkUpdate", (400, "BatchTooLarge", ""), R),
    ],
)
def test_some_answers_mean_something_at_one_endpoint_only(
    path: str, got: tuple[int, str | None, str], expected: Classification
) -> None:
    status, code, msg = got
    found = outcome(answer(status, code, msg=msg), f"POST {path}")
    assert found.classification is expected


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
def test_an_unreadable_success_counts_and_is_marked_odd(body: bytes) -> None:
    got = outcome(reply(200, body))
    assert got.classification is S
    assert (got.is_odd, got.code, got.params) == (True, None, ())
    assert outcome(reply(400, body)).classification is P
    assert outcome(reply(500, body)).is_unknown


def test_a_success_that_was_cut_is_odd_and_a_plain_one_is_not() -> None:
    body = b'{"code": "Success"}'
    cut = Reply(status=200, headers={}, body=body, is_truncated=True)
    assert outcome(cut).is_odd
    assert not outcome(reply(200, body)).is_odd
    assert outcome(answer(200, "NeverSeen")).is_odd


@pytest.mark.parametrize("code", [7, None, ["Success"], {}, True, "", "a b", "x" * 99])
def test_a_code_of_another_type_or_shape_is_no_code(code: Any) -> None:
    got = outcome(reply(400, {"code": code, "params": {}}))
    assert (got.classification, got.code) == (P, None)


@pytest.mark.parametrize("value", [True, "5", -1, 0, 5.5, None, 2**63, [5]])
def test_a_scheduled_message_id_is_a_positive_number(value: Any) -> None:
    got = outcome(answer(200, "Success", {"scheduledMessageId": value}))
    assert (got.classification, got.scheduled_message_id) == (S, None)


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
    assert got.reason == "status 400, code BadParams, params email: refused for good"


def test_nothing_that_looks_personal_is_kept() -> None:
    secrets = ["ann@example.com", "BDAY-7K2M-91QX", KEY, "+4915112345678", "a b"]
    for secret in secrets:
        body = {"msg": secret, "code": secret, "params": {secret: secret, "ok": secret}}
        for status in (200, 400, 401, 500):
            got = outcome(reply(status, body, iterable_request_id=f"{secret} {secret}"))
            assert secret not in repr(got)
            assert got.params == ("ok",)


def test_a_flood_of_keys_is_bounded() -> None:
    params = {f"key{number}": 1 for number in range(5000)} | {"k" * 5000: 1}
    assert len(outcome(answer(400, "BadParams", params)).reason) < 1000


# How long to wait.

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
CAP = timedelta(minutes=15)


def in_(delta: timedelta) -> str:
    return format_datetime(NOW + delta, usegmt=True)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("60", timedelta(seconds=60)),
        (" 7 ", timedelta(seconds=7)),
        ("900", CAP),
        ("901", CAP),
        ("315360000", CAP),
        ("9" * 10, CAP),
        ("9" * 5000, CAP),
        (in_(timedelta(seconds=90)), timedelta(seconds=90)),
        (in_(timedelta(days=3650)), CAP),
        (in_(timedelta(seconds=90)).replace("GMT", "-0000"), timedelta(seconds=90)),
        (in_(timedelta(seconds=-90)), None),
        (in_(timedelta(days=-3650)), None),
        ("Wed, 04 Mar 9999999 05:06:07 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -1200", None),
        ("0", None),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("\u0663", None),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_read_within_its_cap_and_nonsense_is_harmless(
    header: str, expected: timedelta | None
) -> None:
    date = format_datetime(NOW, usegmt=True)
    got = outcome(reply(429, {}, retry_after=header, date=date))
    assert (got.classification, got.retry_after) == (R, expected)


def test_a_date_needs_the_date_of_the_answer() -> None:
    header = in_(timedelta(seconds=90))
    for date in ({}, {"date": "yesterday"}):
        assert outcome(reply(429, {}, retry_after=header, **date)).retry_after is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, timedelta(seconds=7)),
        (0.5, timedelta(seconds=0.5)),
        (10**400, CAP),
        (float("inf"), CAP),
        (float("nan"), None),
        (float("-inf"), None),
        (0, None),
        (-7, None),
        (True, None),
        ("7", None),
        (None, None),
    ],
)
def test_the_reset_of_a_rate_limit_is_in_seconds(
    value: Any, expected: timedelta | None
) -> None:
    params = {"rateLimitReset": value}
    assert outcome(answer(429, "RateLimitExceeded", params)).retry_after == expected


def test_the_header_goes_before_the_body_unless_it_is_nonsense() -> None:
    body = {"code": "RateLimitExceeded", "params": {"rateLimitReset": 7}}

    def wait(header: str) -> timedelta | None:
        return outcome(reply(429, body, retry_after=header)).retry_after

    assert wait("60") == timedelta(seconds=60)
    assert wait("soon") == timedelta(seconds=7)


@pytest.mark.parametrize("status", [200, 302, 400, 401, 404])
def test_only_what_is_repeated_has_a_wait(status: int) -> None:
    assert outcome(reply(status, {}, retry_after="60")).retry_after is None
