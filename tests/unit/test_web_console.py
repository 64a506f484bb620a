"""The console with Flask's test client, a real bridge behind it."""

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from pathlib import Path
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from bridge import bootstrap, config
from bridge.bootstrap import Bridge
from bridge.errors import StoreUnavailable
from bridge.model import Capture, Cause, DeliveryStatus, EventStatus
from bridge.steering.bulk import Prospect, plan
from bridge.store import Action, By, DeliveryFilter, DeliveryRow, Ledger
from bridge.web import create_app
from bridge.web.console.door import GUESSES, SPAN_SECONDS, Throttle
from bridge.web.console.hiding import Veil, personal_in
from bridge.web.console.picture import picture

PASSWORD = "a-long-console-password"
SAMPLES = Path(__file__).parents[2] / "samples" / "voucherify"
REWARD = next(SAMPLES.glob("02_*.json")).read_bytes()
#: What the policy forbids, and would not work.
_FOREIGN = r'(?:src|href|action)="(?:https?:)?//|<[^>]* (?:style|on[a-z]+)='
#: Addresses that a browser must not be sent to.
FOREIGN = [
    *("https://evil.example/", "//evil.example", "/x", "/console/\\evil.example"),
    *("//[", "http://[", "//\u2100/", "/console/\r\nX-A: 1", "/console/\t/x"),
]
FILE = """
iterable: {data_center: us}
templates: TEMPLATES
routes:
  - {name: rewards, when: {}, campaign_id: 1, template: triggered_email.json.j2}
"""


@pytest.fixture
def bridge(tmp_path: Path, empty_ledger: Path) -> Iterator[Bridge]:
    shutil.copy(empty_ledger, tmp_path / "bridge.db")
    path = tmp_path / "config.yaml"
    path.write_text(FILE.replace("TEMPLATES", str(SAMPLES.parents[1] / "templates")))
    env = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
        "VOUCHERIFY_WEBHOOK_SECRET": "vf-test-secret-1",
        "ITERABLE_BASE_URL": "http://127.0.0.1:9",
        "BRIDGE_CONSOLE_PASSWORD": PASSWORD,
    }
    made = bootstrap.build(config.load(path, env, "receive"))
    yield made
    made.store.close()


@pytest.fixture
def stranger(bridge: Bridge) -> FlaskClient:
    """Somebody who is not in."""
    return create_app(bridge).test_client()


@pytest.fixture
def client(stranger: FlaskClient) -> FlaskClient:
    """Somebody who is in."""
    assert log_in(stranger).status_code == 302
    return stranger


@pytest.fixture
def held(bridge: Bridge) -> str:
    """A delivery that waits for a person; its id."""
    bridge.intake.receive(Capture(body=REWARD, headers={"user-agent": "axios"}))
    (row,) = bridge.store.ledger.deliveries(DeliveryFilter())
    with bridge.store.write() as tx:
        bridge.store.queue.hold_orphans(tx, [])
    return row.id


def token(client: FlaskClient, page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', client.get(page).text)
    assert found is not None
    return found[1]


def post(client: FlaskClient, path: str, page: str, **fields: str) -> TestResponse:
    return client.post(path, data=fields | {"csrf_token": token(client, page)})


def log_in(client: FlaskClient, password: str = PASSWORD) -> TestResponse:
    return post(client, "/console/enter", "/console/enter", password=password)


def status(bridge: Bridge, delivery_id: str) -> DeliveryStatus:
    story = bridge.store.ledger.story(delivery_id)
    assert story is not None
    return story.delivery.status


def test_without_a_password_there_is_no_console(bridge: Bridge) -> None:
    secrets = replace(bridge.config.secrets, console="")
    closed = replace(bridge, config=replace(bridge.config, secrets=secrets))
    assert create_app(closed).test_client().get("/console/").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/console",
        "/console/",
        "/console/deliveries",
        "/console/deliveries.csv",
        "/console/deliveries/01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55",
        "/console/events",
        "/console/routes",
        "/console/nowhere",
    ],
)
def test_a_stranger_is_sent_to_the_door(stranger: FlaskClient, path: str) -> None:
    answer = stranger.get(path)
    assert answer.status_code == 302
    assert answer.location.startswith("/console/enter")


def test_who_logged_in_comes_to_the_page_asked_for(stranger: FlaskClient) -> None:
    asked = stranger.get("/console/deliveries?route=a").location
    answer = post(stranger, asked, asked, password=PASSWORD)
    assert answer.location == "/console/deliveries?route=a"


@pytest.mark.parametrize("page", FOREIGN)
def test_the_door_leads_nowhere_else(stranger: FlaskClient, page: str) -> None:
    door = f"/console/enter?next={quote(page)}"
    assert post(stranger, door, door, password=PASSWORD).location == "/console/"


@pytest.mark.parametrize("page", FOREIGN)
def test_a_button_leads_nowhere_else(client: FlaskClient, page: str) -> None:
    for button in ("/console/show", "/console/hide"):
        answer = post(client, button, "/console/", back=page)
        assert answer.location == "/console/"


def test_a_wrong_password_opens_nothing(stranger: FlaskClient) -> None:
    assert log_in(stranger, "wrong").status_code == 401
    assert stranger.get("/console/").status_code == 302


def test_guessers_are_made_to_wait(stranger: FlaskClient) -> None:
    for _ in range(GUESSES):
        log_in(stranger, "wrong")
    answer = log_in(stranger)
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= SPAN_SECONDS


def test_a_throttle_forgets_after_its_span() -> None:
    now = [0.0]
    throttle = Throttle(clock=lambda: now[0])
    for _ in range(GUESSES):
        assert throttle.wait() == 0
        throttle.count()
    assert throttle.wait() > 0
    now[0] = SPAN_SECONDS
    assert throttle.wait() == 0


def test_who_left_is_a_stranger(client: FlaskClient) -> None:
    post(client, "/console/leave", "/console/")
    assert client.get("/console/").status_code == 302


def test_a_session_is_good_in_every_process_and_not_after_a_new_password(
    bridge: Bridge, client: FlaskClient
) -> None:
    cookie = client.get_cookie("bridge_console", path="/console")
    assert cookie is not None

    def sees(bridge: Bridge) -> bool:
        other = create_app(bridge).test_client()
        other.set_cookie("bridge_console", cookie.value, path="/console")
        return other.get("/console/").status_code == 200

    assert sees(bridge)
    secrets = replace(bridge.config.secrets, console="another-password")
    assert not sees(replace(bridge, config=replace(bridge.config, secrets=secrets)))


def test_the_cookie_keeps_to_itself(stranger: FlaskClient) -> None:
    field = token(stranger, "/console/enter")
    data = {"password": PASSWORD, "csrf_token": field}
    plain = stranger.post("/console/enter", data=data).headers["Set-Cookie"]
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "Path=/console" in plain
    assert "Secure" not in plain
    by_tls = stranger.get("/console/enter", headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in by_tls.headers["Set-Cookie"]


def test_a_form_without_its_token_is_refused(client: FlaskClient, held: str) -> None:
    answer = client.post(f"/console/deliveries/{held}/redeliver")
    assert answer.status_code == 400
    assert "cannot be taken" in answer.text


def test_pages_load_nothing_from_elsewhere(client: FlaskClient, held: str) -> None:
    for page in ("/console/", "/console/deliveries", f"/console/deliveries/{held}"):
        answer = client.get(page)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(_FOREIGN, answer.text)


def test_a_webhooks_doors_get_no_cookie(client: FlaskClient) -> None:
    answer = client.post("/webhooks/voucherify", data=b"{}")
    assert answer.status_code == 401
    assert "Set-Cookie" not in answer.headers


def test_personal_data_is_hidden_until_asked_for(
    client: FlaskClient, held: str
) -> None:
    page = f"/console/deliveries/{held}"
    personal = [*personal_in(REWARD)]
    assert personal
    hidden = client.get(page).text
    assert [one for one in personal if len(one) > 3 and one in hidden] == []
    post(client, "/console/show", page)
    assert all(one in client.get(page).text for one in personal)
    post(client, "/console/hide", page)
    assert client.get(page).text.count("••••") == hidden.count("••••")


def test_a_held_delivery_is_put_back_and_that_is_told(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    page = f"/console/deliveries/{held}"
    assert post(client, f"{page}/redeliver", page).status_code == 302
    assert status(bridge, held) is DeliveryStatus.PENDING
    assert "Put back in the queue by hand" in client.get(page).text


def test_an_accepted_one_is_put_back_only_by_force(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    page = f"/console/deliveries/{held}"
    post(client, f"{page}/resolve", page, how="sent", reason="seen in the inbox")
    assert status(bridge, held) is DeliveryStatus.ACCEPTED
    post(client, f"{page}/redeliver", page)
    assert status(bridge, held) is DeliveryStatus.ACCEPTED
    post(client, f"{page}/redeliver", page, force="yes")
    assert status(bridge, held) is DeliveryStatus.PENDING


def test_dropping_asks_for_a_reason_and_keeps_it(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    page = f"/console/deliveries/{held}"
    post(client, f"{page}/resolve", page, how="drop", reason="  ")
    assert status(bridge, held) is DeliveryStatus.HELD
    post(client, f"{page}/resolve", page, how="drop", reason="voucher withdrawn")
    assert status(bridge, held) is DeliveryStatus.DROPPED
    story = bridge.store.ledger.story(held)
    assert story is not None
    assert [deed.action for deed in story.deeds] == [Action.DROP]
    assert "voucher withdrawn" in client.get(page).text


def test_a_route_is_paused_with_a_reason_and_resumed(
    bridge: Bridge, client: FlaskClient
) -> None:
    page = "/console/routes"
    post(client, f"{page}/rewards/pause", page, reason="wording under review")
    assert "wording under review" in client.get(page).text
    assert "wording under review" in client.get("/console/").text
    post(client, f"{page}/rewards/resume", page)
    assert "Resume" not in client.get(page).text
    done = bridge.store.ledger.deeds_at("route:rewards")
    assert [deed.action for deed in done] == [Action.RESUME, Action.PAUSE]
    assert post(client, f"{page}/nowhere/pause", page).status_code == 404


def test_filters_are_kept_and_nonsense_asks_nothing(
    client: FlaskClient, held: str
) -> None:
    def rows(query: str) -> int:
        return client.get(f"/console/deliveries?{query}").text.count("/deliveries/0")

    assert rows("status=held&route=rewards&since=1h") == 1
    assert rows("status=dead") == 0
    assert rows("route=nowhere") == 0
    assert rows("before=2020-01-01T00:00") == 0
    assert rows("since=0001-01-01&before=9999-12-31") == 1
    assert rows("status=nonsense&since=nonsense&before=nonsense&after=nonsense") >= 0
    assert rows(f"search={held[:13]}") == 1


def test_an_export_is_masked_and_no_formula(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    with bridge.store.write() as tx:
        bridge.store.ledger.redeliver(tx, [held], by=By.SHELL)
    lines = list(csv.reader(StringIO(client.get("/console/deliveries.csv").text)))
    assert len(lines) == 2
    assert lines[1][0] == held
    assert "••••" in lines[1][5]


class Breaking(Ledger):
    """A ledger that can be read so many times."""

    def __init__(self, whole: Ledger, times: int) -> None:
        self._whole, self._times = whole, times

    def deliveries(self, wanted: DeliveryFilter) -> list[DeliveryRow]:
        if self._times == 0:
            raise StoreUnavailable("it is away")
        self._times -= 1
        return self._whole.deliveries(wanted)


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("times", [0, 1], ids=["at the start", "in the middle"])
def test_an_export_is_whole_or_refused(
    bridge: Bridge, client: FlaskClient, times: int
) -> None:
    bridge.store.ledger = Breaking(bridge.store.ledger, times)
    answer = client.get("/console/deliveries.csv")
    assert answer.status_code == 503
    assert "The ledger does not answer" in answer.text


def test_a_fault_is_logged_once_and_told_without_its_text(
    bridge: Bridge, client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Breaking):
        def deliveries(self, wanted: DeliveryFilter) -> list[DeliveryRow]:
            raise ZeroDivisionError(f"secret {wanted.limit}")

    bridge.store.ledger = Broken(bridge.store.ledger, 0)
    answer = client.get("/console/deliveries")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    (record,) = caplog.records
    assert "request.failed" in record.getMessage()
    assert answer.headers["X-Request-Id"] in record.getMessage()
    assert record.exc_info is not None


def test_a_page_that_is_not_there_says_so(client: FlaskClient) -> None:
    nobody = "/console/deliveries/01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"
    assert client.get(nobody).status_code == 404
    assert client.get("/console/nowhere").status_code == 404


def test_an_event_is_shown_replayed_and_downloaded(
    bridge: Bridge, client: FlaskClient
) -> None:
    stored = bridge.intake.receive(Capture(body=b'{"nonsense": "<b>x</b>"}'))
    page = f"/console/events/{stored.event_id}"
    assert "&lt;b&gt;x&lt;/b&gt;" in client.get(page).text
    assert stored.event_id in client.get("/console/events?status=parked").text
    post(client, f"{page}/replay", page)
    assert [deed.action for deed in bridge.store.ledger.deeds_to(stored.event_id)] == [
        Action.REPLAY
    ]
    capture = post(client, f"{page}/capture", page)
    assert json.loads(capture.data)["body"] == '{"nonsense": "<b>x</b>"}'


def test_a_veil_hides_values_wherever_they_stand() -> None:
    body = b'{"customer": {"name": "Leo Martens"}, "campaign": {"name": "Perks"}}'
    veil = Veil(personal_in(body), lifted=False)
    shown = veil.body(b'{"greeting": "Hello Leo!", "campaignName": "Perks"}')
    assert "Leo" not in shown
    assert "Perks" in shown
    assert veil.text("to ana@shop.example") == "to a••••@••••"


@pytest.mark.parametrize("levels", [400, 500, 900])
def test_a_webhook_is_shown_however_deeply_it_is_nested(
    bridge: Bridge, client: FlaskClient, levels: int
) -> None:
    deep = b"[" * levels + b'{"email": "leo-1"}' + b"]" * levels
    body = b'{"customer": {"name": "Leo Martens", "metadata": %b}}' % deep
    stored = bridge.intake.receive(Capture(body=body))
    page = client.get(f"/console/events/{stored.event_id}")
    assert page.status_code == 200
    assert "&#34;email&#34;: &#34;le••••&#34;" in page.text
    assert "Martens" not in page.text


@pytest.mark.parametrize(
    "body",
    [
        b'{"customer": {"name": "Leo Martens"}',
        b'"Leo Martens"',
        b'{"customer": {"name": "Leo Martens", "metadata": %b}}'
        % (b"[" * 2000 + b"]" * 2000),
    ],
    ids=["broken", "a text", "too deep"],
)
def test_what_cannot_be_told_apart_is_hidden_as_a_whole(
    bridge: Bridge, client: FlaskClient, body: bytes
) -> None:
    page = f"/console/events/{bridge.intake.receive(Capture(body=body)).event_id}"
    assert "nothing tells what is personal" in client.get(page).text
    assert "Martens" not in client.get(page).text
    post(client, "/console/show", page, back=page)
    assert "Martens" in client.get(page).text


def test_an_empty_day_makes_an_empty_picture() -> None:
    assert picture([]).total == 0


def test_a_bulk_run_is_planned_confirmed_and_safe_to_repeat(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    page = "/console/bulk?action=redeliver&status=held"
    assert "redeliver 1" in client.get(page).text
    run = post(client, "/console/bulk", page, action="redeliver", status="held")
    assert status(bridge, held) is DeliveryStatus.HELD
    assert "0 of 1" in client.get(run.location).text
    for _ in range(3):
        post(client, f"{run.location}/step", page)
    assert status(bridge, held) is DeliveryStatus.PENDING
    assert "1 of 1" in client.get(run.location).text
    story = bridge.store.ledger.story(held)
    assert story is not None
    assert len(story.deeds) == 1


def test_a_stopped_run_does_nothing_more(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    page = "/console/bulk?action=drop&status=held"
    assert "drop 1" in client.get(page).text
    fields = {"action": "drop", "status": "held"}
    back = post(client, "/console/bulk", page, **fields)
    assert back.location.startswith("/console/bulk?")
    run = post(client, "/console/bulk", page, **fields, reason="withdrawn").location
    post(client, f"{run}/stop", page)
    post(client, f"{run}/step", page)
    assert status(bridge, held) is DeliveryStatus.HELD
    assert post(client, "/console/bulk", page, action="nonsense").status_code == 400


def test_an_edited_template_is_shown_beside_the_old_and_not_kept(
    bridge: Bridge, client: FlaskClient
) -> None:
    page = "/console/templates/triggered_email.json.j2"
    path = bridge.config.templates / "triggered_email.json.j2"
    before = path.read_text()
    assert "triggered_email.json.j2" in client.get("/console/templates").text
    assert "recipientUserId" in client.get(page).text
    edited = before.replace("{{ reward.code }}", '{{ "MY-" ~ reward.code }}')
    assert edited != before
    shown = post(client, page, page, source=edited).text
    assert "As edited" in shown
    broken = post(client, page, page, source="{{ nonsense }").text
    assert "line 1" in broken
    assert "changes nothing" in post(client, page, page, source=before + " ").text
    assert path.read_text() == before
    assert client.get("/console/templates/nothing.j2").status_code == 404
    assert client.get("/console/templates/../config.yaml").status_code == 404


def test_an_edited_template_may_make_what_is_nested_deeply(client: FlaskClient) -> None:
    page = "/console/templates/triggered_email.json.j2"
    nested = (
        "{% set deep = namespace(a=[1]) %}"
        "{% for _ in range(900) %}{% set deep.a = [deep.a] %}{% endfor %}"
        '{"campaignId": 1, "recipientUserId": "a", "dataFields": {"a": {{ deep.a }}}}'
    )
    answer = post(client, page, page, source=nested)
    assert answer.status_code == 200
    assert "As edited" in answer.text


def test_a_template_whose_file_is_away_says_so(bridge: Bridge, tmp_path: Path) -> None:
    away = replace(bridge, config=replace(bridge.config, templates=tmp_path))
    client = create_app(away).test_client()
    log_in(client)
    page = client.get("/console/templates/triggered_email.json.j2")
    assert page.status_code == 200
    assert "The file cannot be read: No such file or directory" in page.text


def test_a_template_is_previewed_with_a_stored_webhook(
    bridge: Bridge, client: FlaskClient, held: str
) -> None:
    story = bridge.store.ledger.story(held)
    assert story is not None
    page = "/console/templates/triggered_email.json.j2?webhook="
    assert "recipientUserId" in client.get(page + story.event.id).text
    assert client.get(f"{page}nothing").status_code == 404


def test_what_is_no_longer_kept_is_said_and_not_offered(
    client: FlaskClient, bridge: Bridge, held: str
) -> None:
    store = bridge.store
    with store.write() as tx:
        assert store.ledger.close(
            tx, [held], Cause.RESOLVED_DROPPED, "withdrawn", by=By.CONSOLE
        )
    with store.write() as tx:
        before = tx.now + timedelta(seconds=1)
        page = store.retiring.old_events(tx, before, after=None, most=9, whole=True)
        assert store.retiring.blank(tx, page.events, before)
    (row,) = store.ledger.deliveries(DeliveryFilter())
    story = client.get(f"/console/deliveries/{held}").text
    event = client.get(f"/console/events/{row.event_id}").text
    for page_ in (story, event):
        assert "What it held is no longer kept" in page_
    assert "Redeliver" not in story
    assert "Download capture" not in event
    for act in ("replay", "capture"):
        door = f"/console/events/{row.event_id}"
        assert post(client, f"{door}/{act}", door).status_code == 302
    kept = store.ledger.event(row.event_id)
    assert kept is not None
    assert kept.status is EventStatus.STORED


@pytest.mark.usefixtures("held")
def test_a_plan_tells_what_is_no_longer_kept(bridge: Bridge) -> None:
    store = bridge.store
    (row,) = store.ledger.deliveries(DeliveryFilter())
    with store.write() as tx:
        store.forgetting.blank_events(tx, [row.event_id])
        now = tx.now
    foreseen = plan(store.ledger, Action.REDELIVER, DeliveryFilter(), now)
    assert (foreseen.changes, foreseen.counts[Prospect.GONE]) == (0, 1)
    assert plan(store.ledger, Action.DROP, DeliveryFilter(), now).changes == 1


def test_iterable_is_asked_for_each_campaign_and_its_answers_shown(
    client: FlaskClient,
) -> None:
    page = post(client, "/console/routes/check", "/console/routes")
    assert page.status_code == 200
    assert "1 objection" in page.text
