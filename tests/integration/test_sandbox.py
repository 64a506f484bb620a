"""The local Iterable, called over real HTTP: judges, fails as told, remembers."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from bridge import resources
from bridge.sandbox import Campaign, Sandbox

pytestmark = pytest.mark.integration

KEY = "itbl-test-key"
USERS = {"crm-1": "ana@shop.example", "crm-2": "leo@shop.example"}
CAMPAIGNS = [
    Campaign(id=7),
    Campaign(id=8, medium="SMS"),
    Campaign(id=9, type="Blast"),
    Campaign(id=10, state="Ready"),
]
FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((resources.samples() / "iterable").glob("*.json"))
}


class Caller:
    """Calls the sandbox as the bridge would."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.url = sandbox.url
        self.session = requests.Session()
        self.session.headers["Api-Key"] = KEY

    def send(self, medium: str = "email", **fields: Any) -> requests.Response:
        body = {"campaignId": 7, "recipientUserId": "crm-1"} | fields
        body = {name: value for name, value in body.items() if value is not None}
        return self.post(f"/api/{medium}/target", json=body)

    def post(self, path: str, **settings: Any) -> requests.Response:
        return self.session.post(self.url + path, **{"timeout": 10} | settings)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=60)

    def impatient(self, **fields: Any) -> None:
        """Send, and go away after a fifth of a second without an answer."""
        body = {"campaignId": 7, "recipientUserId": "crm-1"} | fields
        with pytest.raises(requests.ReadTimeout):
            self.post("/api/email/target", json=body, timeout=0.2)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(api_key=KEY, users=USERS, campaigns=CAMPAIGNS) as running:
        yield running


@pytest.fixture
def caller(sandbox: Sandbox) -> Iterator[Caller]:
    made = Caller(sandbox)
    with made.session:
        yield made


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds, for five seconds at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def raw(sandbox: Sandbox, request: bytes) -> bytes:
    """Write bytes and read until the other side closes."""
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as line:
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: line.recv(65536), b""))


def test_a_message_is_accepted_and_remembered(sandbox: Sandbox, caller: Caller) -> None:
    reply = caller.send(dataFields={"couponCode": "A-1"})
    assert reply.json() == {
        "msg": "Campaign 7 - Sent triggered message to: ana@shop.example",
        "code": "Success",
        "params": None,
    }
    assert "iterable-request-id" in reply.headers
    [one] = sandbox.received
    assert (one.path, one.status, one.user) == ("/api/email/target", 200, "crm-1")
    assert one.body["dataFields"] == {"couponCode": "A-1"}
    assert one.is_accepted
    assert timedelta(0) <= datetime.now(UTC) - one.time < timedelta(seconds=10)


@pytest.mark.parametrize("key", ["", "another"])
def test_a_wrong_key_is_refused(sandbox: Sandbox, caller: Caller, key: str) -> None:
    caller.session.headers["Api-Key"] = key
    reply = caller.send()
    assert reply.status_code == 401
    assert reply.json()["code"] == "BadApiKey"
    assert reply.json()["params"]["endpoint"] == "/api/email/target"
    assert not sandbox.received[0].is_accepted
    assert caller.get("/api/campaigns").status_code == 401


def test_a_campaign_as_text_gets_the_older_error_that_repeats_everything(
    caller: Caller,
) -> None:
    reply = caller.send("inApp", campaignId="7")
    recorded = FIXTURES["s06_target_bad_json_verbose"]["response"]["body"]
    assert reply.status_code == 400
    assert reply.json()["params"] == recorded["params"]
    assert KEY in reply.json()["msg"]
    assert "crm-1" in reply.json()["msg"]


def test_a_campaign_as_text_gets_the_newer_error_where_asked_for() -> None:
    with Sandbox(json_errors="newer") as sandbox, requests.Session() as session:
        reply = session.post(
            f"{sandbox.url}/api/email/target",
            json={"campaignId": "7"},
            headers={"Api-Key": "any"},
            timeout=60,
        )
    assert reply.json() == {
        "msg": "[/api/email/target] Invalid JSON body",
        "code": "BadJsonBody",
        "params": {"obj.campaignId": "Number value expected"},
    }


@pytest.mark.parametrize(
    ("body", "params"),
    [
        (b"", []),
        (b"no JSON", []),
        (b"[]", []),
        (b"[" * 100_000, []),
        (b"\xff", []),
        (b"{}", ["obj.campaignId"]),
        (b'{"campaignId": true}', ["obj.campaignId"]),
        (b'{"campaignId": 7.5}', ["obj.campaignId"]),
        (b'{"campaignId": 7, "recipientUserId": 84097}', ["obj.recipientUserId"]),
        (b'{"campaignId": 7, "dataFields": []}', ["obj.dataFields"]),
        (
            b'{"campaignId": 7, "allowRepeatMarketingSends": 1}',
            ["obj.allowRepeatMarketingSends"],
        ),
        (
            b'{"campaignId": 7, "sendAt": 1, "metadata": 1}',
            ["obj.sendAt", "obj.metadata"],
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_body_of_the_wrong_kind_is_bad_json(
    caller: Caller, body: bytes, params: list[str]
) -> None:
    reply = caller.post("/api/email/target", data=body)
    assert (reply.status_code, reply.json()["code"]) == (400, "BadJsonBody")
    assert list(reply.json()["params"]) == params


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"recipientUserId": None}, "BadParams"),
        ({"recipientUserId": ""}, "InvalidUserIdError"),
        ({"recipientUserId": "x" * 53}, "InvalidUserIdError"),
        ({"recipientUserId": "crm-1 "}, "InvalidUserIdError"),
        ({"recipientUserId": "crm-ä"}, "InvalidUserIdError"),
        ({"recipientUserId": "x" * 52}, "UnknownUserIdError"),
        ({"recipientUserId": "CRM-1"}, "UnknownUserIdError"),
        (
            {"recipientUserId": None, "recipientEmail": "foo@"},
            "InvalidEmailAddressError",
        ),
        ({"recipientEmail": ""}, "InvalidEmailAddressError"),
        ({"recipientEmail": "LEO@shop.example"}, "Success"),
        (
            {"recipientUserId": "nobody", "recipientEmail": "new@shop.example"},
            "Success",
        ),
        ({"campaignId": 8, "recipientEmail": "new@shop.example"}, "UnknownEmailError"),
    ],
)
def test_recipients_are_judged(
    caller: Caller, fields: dict[str, Any], code: str
) -> None:
    medium = "sms" if fields.get("campaignId") == 8 else "email"
    assert caller.send(medium, **fields).json()["code"] == code


@pytest.mark.parametrize("campaign", [6, 8, 9, 10])
def test_a_campaign_that_cannot_send_this_is_named_in_the_error(
    caller: Caller, campaign: int
) -> None:
    reply = caller.send(campaignId=campaign)
    assert (reply.status_code, reply.json()["code"]) == (400, "BadParams")
    assert reply.json()["params"] == {"campaignId": str(campaign)}


@pytest.mark.parametrize(
    "medium", ["email", "sms", "push", "inApp", "webPush", "whatsApp"]
)
def test_told_nothing_the_sandbox_knows_everybody_and_every_campaign(
    medium: str,
) -> None:
    with Sandbox() as sandbox:
        caller = Caller(sandbox)
        with caller.session:
            assert caller.send(medium, recipientUserId="anybody").status_code == 200
            assert caller.get("/api/campaigns/99").json()["id"] == 99
            found = caller.get("/api/users/byUserId", userId="anybody").json()
    assert found["user"]["userId"] == "anybody"


def test_a_message_for_later_is_scheduled(sandbox: Sandbox, caller: Caller) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    reply = caller.send(sendAt=f"{later:%Y-%m-%d %H:%M:%S}")
    assert isinstance(reply.json()["params"]["scheduledMessageId"], int)
    assert sandbox.received[0].is_accepted
    sent = caller.get("/api/users/getSentMessages", userId="crm-1").json()
    assert sent == {"messages": []}


@pytest.mark.parametrize("moment", ["2020-01-01 00:00:00", "2020-01-01 00:00:00 +0000"])
def test_a_message_for_the_past_goes_out_at_once(caller: Caller, moment: str) -> None:
    assert caller.send(sendAt=moment).json()["params"] is None


@pytest.mark.parametrize(
    "moment",
    ["soon", "2026-13-01 00:00:00", "9999-01-01 00:00:00", "2020-01-01T00:00:00Z"],
)
def test_an_impossible_time_is_refused(caller: Caller, moment: str) -> None:
    reply = caller.send(sendAt=moment)
    assert (reply.status_code, reply.json()["code"]) == (400, "BadParams")


def test_unknown_keys_are_dropped_without_a_word(caller: Caller) -> None:
    assert caller.send(data_fields={"couponCode": "lost"}).status_code == 200


def test_a_body_beyond_the_limit_is_refused(caller: Caller) -> None:
    assert caller.send(dataFields={"x": "x" * 4_000_000}).status_code == 413


def test_campaigns_can_be_read(caller: Caller) -> None:
    one = caller.get("/api/campaigns/8").json()
    assert (one["type"], one["campaignState"], one["messageMedium"]) == (
        "Triggered",
        "Running",
        "SMS",
    )
    listed = caller.get("/api/campaigns", page=2, pageSize=2, campaignState="Running")
    assert [one["id"] for one in listed.json()["campaigns"]] == [9]
    assert caller.get("/api/campaigns/999").json()["code"] == "NotFound"
    assert caller.get("/api/campaigns", page="x").json()["code"] == "BadParams"


def test_users_can_be_read(caller: Caller) -> None:
    found = {"email": "ana@shop.example", "userId": "crm-1"}
    user = found | {"dataFields": found}
    asked = caller.get
    assert asked("/api/users/byUserId", userId="crm-1").json() == {"user": user}
    assert asked("/api/users/byUserId/crm%2D1").json() == {"user": user}
    assert asked("/api/users/getByEmail", email="ana@shop.example").json()["user"]
    assert asked("/api/users/byUserId", userId="nobody").json() == {}
    assert asked("/api/users/getByEmail", email="no@shop.example").json() == {}


@pytest.mark.parametrize(
    ("params", "count"),
    [
        ({"userId": "crm-1"}, 3),
        ({"email": "Ana@shop.example"}, 3),
        ({"userId": "crm-2"}, 0),
        ({"userId": "crm-1", "campaignIds": "8"}, 1),
        ({"userId": "crm-1", "campaignIds": ["8", "7"]}, 3),
        ({"userId": "crm-1", "campaignIds": "6,8"}, 1),
        ({"userId": "crm-1", "messageMedium": "Email"}, 2),
        ({"userId": "crm-1", "limit": 1}, 1),
        ({"userId": "crm-1", "startDateTime": "2020-01-01 00:00:00 +00:00"}, 3),
        ({"userId": "crm-1", "endDateTime": "2020-01-01 00:00:00 +00:00"}, 0),
    ],
)
def test_what_a_user_was_sent_can_be_read_back(
    caller: Caller, params: dict[str, Any], count: int
) -> None:
    caller.send()
    caller.send("sms", campaignId=8)
    caller.send(recipientUserId=None, recipientEmail="ana@shop.example")
    caller.send(campaignId=999)
    found = caller.get("/api/users/getSentMessages", **params).json()["messages"]
    assert len(found) == count
    assert all(one["createdAt"].endswith(" +00:00") for one in found)


@pytest.mark.parametrize(
    "params",
    [{}, {"userId": "crm-1", "startDateTime": "today"}, {"userId": "", "limit": 0}],
)
def test_a_read_back_without_sense_is_refused(
    caller: Caller, params: dict[str, Any]
) -> None:
    reply = caller.get("/api/users/getSentMessages", **params)
    assert (reply.status_code, reply.json()["code"]) == (400, "BadParams")


@pytest.mark.parametrize(
    "path", ["/api/nothing", "/api/campaigns/x", "/api/Email/target"]
)
def test_a_path_that_does_not_exist_gets_a_page(caller: Caller, path: str) -> None:
    reply = caller.get(path)
    assert reply.status_code == 404
    assert "Action not found" in reply.text


@pytest.mark.parametrize(
    "name", [name for name, one in FIXTURES.items() if one.get("response")]
)
def test_every_recorded_answer_can_be_played(
    sandbox: Sandbox, caller: Caller, name: str
) -> None:
    fixture = FIXTURES[name]
    response, path = fixture["response"], fixture["request"]["path"].partition("?")[0]
    if not path.startswith("/api/"):
        return
    sandbox.tell(fixture=name.partition("_")[0], path=path)
    call = caller.get if fixture["request"]["method"] == "GET" else caller.post
    reply = call(path)
    assert reply.status_code == response["status"]
    headers = response["headers"]
    assert {name: reply.headers[name] for name in headers} == headers
    expected = response.get("body_text")
    assert reply.text == expected if expected else reply.json() == response["body"]


def test_a_sample_without_an_answer_is_silence(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(fixture="s26_read_timeout_target")
    caller.impatient()
    assert sandbox.received[0].is_accepted


def test_an_answer_may_be_for_one_user_and_one_campaign_only(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(fixture="s13", user="crm-2", campaign=7, times=None)
    statuses = [
        caller.send(recipientUserId="crm-1").status_code,
        caller.send(recipientUserId="crm-2").status_code,
        caller.send("sms", recipientUserId="crm-2", campaignId=8).status_code,
        caller.send(recipientUserId="crm-2").status_code,
    ]
    assert statuses == [200, 400, 200, 400]


def test_an_answer_may_be_for_certain_calls_only(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(status=503, skip=1, times=2)
    sandbox.tell(status=429, headers={"Retry-After": "7"})
    replies = [caller.send() for _ in range(5)]
    assert [one.status_code for one in replies] == [429, 503, 503, 200, 200]
    assert replies[0].headers["retry-after"] == "7"


def test_an_answer_may_say_otherwise_than_what_was_done(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(status=500, accepts=True)
    sandbox.tell(status=200, accepts=False)
    assert [caller.send().status_code for _ in range(2)] == [500, 200]
    assert [one.is_accepted for one in sandbox.received] == [True, False]
    sent = caller.get("/api/users/getSentMessages", userId="crm-1").json()
    assert len(sent["messages"]) == 1


def test_who_goes_away_before_being_accepted_is_not_served(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(delay_before=60)
    caller.impatient()
    until(lambda: sandbox.received)
    [one] = sandbox.received
    assert (one.status, one.is_accepted) == (None, False)


def test_who_goes_away_after_being_accepted_is_served(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(delay_after=60)
    caller.impatient()
    assert [one.is_accepted for one in sandbox.received] == [True]


def test_a_slow_answer_still_comes(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.tell(delay_before=0.05, delay_after=0.05)
    begun = time.monotonic()
    assert caller.send().status_code == 200
    assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize(
    ("reset", "accepted", "status"),
    [("before", False, None), ("after", True, None), ("mid", True, 200)],
)
def test_a_connection_is_cut_where_told(
    sandbox: Sandbox, caller: Caller, reset: str, accepted: bool, status: int | None
) -> None:
    sandbox.tell(reset=reset)
    with pytest.raises(
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    ):
        caller.send()
    [one] = sandbox.received
    assert (one.is_accepted, one.status) == (accepted, status)
    assert caller.send().status_code == 200


def test_a_cut_call_with_a_bad_body_is_not_accepted(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(reset="after")
    with pytest.raises(requests.ConnectionError):
        caller.send(campaignId="7")
    assert not sandbox.received[0].is_accepted


def test_an_answer_drips_byte_by_byte(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.tell(drip=0.002, drip_head=0.001)
    begun = time.monotonic()
    assert caller.send().json()["code"] == "Success"
    assert time.monotonic() - begun > 0.2


@pytest.mark.parametrize("part", ["drip", "drip_head"])
def test_a_drip_ends_with_its_client(sandbox: Sandbox, part: str) -> None:
    threads = threading.active_count()
    sandbox.tell(**{part: 60})
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as line:
        line.sendall(b"GET /api/campaigns HTTP/1.1\r\n\r\n")
        assert line.recv(1) == b"H"
    until(lambda: threading.active_count() <= threads)


def test_an_answer_can_be_larger_than_anybody_should_read(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(padding=3_000_000)
    assert len(caller.send().content) > 3_000_000


def test_control_over_http(sandbox: Sandbox, caller: Caller) -> None:
    rules = [{"fixture": "s10", "user": "crm-1"}, {"status": 500, "body": None}]
    assert caller.post("/_sandbox/answers", json=rules).status_code == 201
    assert caller.post("/_sandbox/answers", json={"reset": "mid"}).status_code == 201
    assert caller.get("/_sandbox/answers").json() == {
        "answers": [
            {"user": "crm-1", "status": 429},
            {"status": 500},
            {"reset": "mid"},
        ]
    }
    assert caller.session.delete(f"{sandbox.url}/_sandbox/answers").status_code == 204
    assert caller.send().status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "must be an object"),
        (b"7", "must be an object"),
        (b'[{"status": 500}, 7]', "must be an object"),
        (b'{"stauts": 500}', "stauts is unknown"),
        (b'{"status": "500"}', "status is of the wrong kind"),
        (b'{"status": true}', "status is of the wrong kind"),
        (b'{"status": 99}', "from 200 to 599"),
        (b'{"reset": "later"}', "before, after, mid"),
        (b'{"fixture": "s99"}', "no sample called s99"),
        (b'{"fixture": "s27"}', "stop the sandbox"),
        (b'{"fixture": "s34"}', "holds no answer"),
    ],
)
def test_an_order_that_cannot_be_followed_is_refused(
    caller: Caller, body: bytes, words: str
) -> None:
    reply = caller.post("/_sandbox/answers", data=body)
    assert reply.status_code == 400
    assert words in reply.json()["error"]
    assert caller.send().status_code == 200


def test_what_was_received_is_listed_and_forgotten(
    sandbox: Sandbox, caller: Caller
) -> None:
    caller.send()
    caller.get("/api/campaigns/7")
    caller.send(campaignId=999)
    listed = caller.get("/_sandbox/received").json()
    assert [(one["number"], one["status"]) for one in listed["received"]] == [
        (1, 200),
        (3, 400),
    ]
    assert listed["received"][0]["body"]["recipientUserId"] == "crm-1"
    assert listed["received"][0]["accepted"] is True
    since = caller.get("/_sandbox/received", since=1).json()
    assert (since["last"], len(since["received"])) == (3, 1)
    assert len(caller.get("/_sandbox/received", all=1).json()["received"]) == 3
    assert caller.get("/_sandbox/received", since="x").status_code == 400
    caller.session.delete(f"{sandbox.url}/_sandbox/received")
    caller.send()
    assert caller.get("/_sandbox/received", since=3).json()["last"] == 4
    assert [one.number for one in sandbox.received] == [4]
    assert [one.number for one in sandbox.since(1)] == [4]
    assert sandbox.since(4) == []


def test_the_page_shows_what_came_and_runs_none_of_it(caller: Caller) -> None:
    caller.send(dataFields={"name": "<script>alert(1)</script>"})
    page = caller.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "1 messages accepted" in page.text
    assert "crm-1" in page.text
    assert "<script>" not in page.text


def test_other_doors_are_named(caller: Caller) -> None:
    reply = caller.get("/_sandbox")
    assert reply.status_code == 404
    assert "GET /_sandbox/received" in reply.json()["doors"]


def test_requests_may_follow_each_other_on_one_connection(sandbox: Sandbox) -> None:
    body = b'{"campaignId":7,"recipientUserId":"crm-1"}'
    head = f"POST /api/email/target HTTP/1.1\r\nApi-Key: {KEY}\r\nContent-Length: 42"
    assert len(body) == 42
    request = head.encode() + b"\r\n\r\n" + body
    assert raw(sandbox, request * 20).count(b"HTTP/1.1 200 OK") == 20


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(sandbox: Sandbox) -> None:
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as line:
        line.sendall(
            b"POST /api/email/target HTTP/1.1\r\nExpect: 100-continue\r\n"
            b"Content-Length: 2\r\nConnection: close\r\n\r\n"
        )
        assert line.recv(100).startswith(b"HTTP/1.1 100 ")
        line.sendall(b"{}")
        assert line.recv(1000).startswith(b"HTTP/1.1 401 ")
        assert line.recv(1000) == b""


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, b"431"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort", b""),
        (b"GET / HT", b""),
    ],
)
def test_what_cannot_be_read_ends_its_own_connection_only(
    sandbox: Sandbox, caller: Caller, request_: bytes, status: bytes
) -> None:
    try:
        assert raw(sandbox, request_)[9:12] == status
    except OSError:
        assert status == b"431"  # cut while more was on its way
    assert caller.send().status_code == 200


def test_many_at_once_are_each_remembered_once(sandbox: Sandbox) -> None:
    def send(_: int) -> int:
        one = Caller(sandbox)
        with one.session:
            return sum(one.send().status_code == 200 for _ in range(25))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 200
    assert sorted(one.number for one in sandbox.received) == list(range(1, 201))


def test_a_stopped_sandbox_refuses_and_starts_again_on_its_port(
    sandbox: Sandbox, caller: Caller
) -> None:
    caller.send()
    sandbox.stop()
    with pytest.raises(requests.ConnectionError):
        caller.send()
    sandbox.stop()
    sandbox.start()
    assert caller.send().status_code == 200
    assert len(sandbox.received) == 2


def test_stopping_does_not_wait_for_slow_answers(
    sandbox: Sandbox, caller: Caller
) -> None:
    sandbox.tell(delay_after=60)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(caller.send)
        until(lambda: sandbox.received)
        begun = time.monotonic()
        sandbox.stop()
        assert time.monotonic() - begun < 2
        assert isinstance(waiting.exception(timeout=60), requests.ConnectionError)


def test_forgetting_drops_orders_and_memories(sandbox: Sandbox, caller: Caller) -> None:
    sandbox.tell(status=500, times=None)
    caller.send()
    sandbox.forget()
    assert caller.send().status_code == 200
    assert len(sandbox.received) == 1
