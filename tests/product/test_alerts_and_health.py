"""What the program says of itself: alerts, `/metrics`, `/healthz`, `/readyz`."""

import re
from collections.abc import Iterator

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.product.program import (
    ROUTE,
    Program,
    installed,
    new_person,
    wait_for,
    webhook,
)
from tests.product.recorder import Answer
from tests.product.vendor import Channel

TOKEN = "metrics-token-1"
BAD_ADDRESS = Answer(status=400, body={"msg": "", "code": "InvalidEmailAddressError"})
BAD_CAMPAIGN = Answer(
    status=400, body={"msg": "", "code": "BadParams", "params": {"campaignId": "2"}}
)
OVER = re.compile("all clear|resolved|over", re.IGNORECASE)
#: A value by its labels, in the order of their names.
Series = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def channel() -> Iterator[Channel]:
    channel = Channel()
    yield channel
    channel.stop()


@pytest.fixture(scope="module")
def alerting(
    channel: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Program]:
    """A running installation that alerts early, measured by two processes."""
    routes = [
        {
            "name": "broken",
            **ROUTE,
            "match": {"campaigns": ["Broken"]},
            "campaign_id": 2,
        },
        {"name": "all", **ROUTE},
    ]
    alerts = {"dead": 2, "consecutive_webhook_failures": 4}
    folder = tmp_path_factory.mktemp("alerting")
    with installed(folder, routes=routes, alerts=alerts) as program:
        program.env["ALERT_WEBHOOK_URL"] = channel.address
        program.env["BRIDGE_METRICS_TOKEN"] = TOKEN
        program.start("--processes", "2")
        yield program


def said(channel: Channel, count: int) -> list[str]:
    """Wait until so many messages came in all; give the last two."""
    channel.wait(lambda: len(channel.texts()) >= count, seconds=40)
    assert len(channel.texts()) == count
    return channel.texts()[-2:]


def scrape(url: str, token: str = TOKEN) -> dict[str, Series]:
    """Read every series of the metrics page, by name and labels."""
    headers = {"Authorization": f"Bearer {token}"}
    answer = requests.get(f"{url}/metrics", headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    found: dict[str, Series] = {}
    for family in text_string_to_metric_families(answer.text):
        for one in family.samples:
            labels = tuple(value for _, value in sorted(one.labels.items()))
            found.setdefault(one.name, {})[labels] = one.value
    return found


def total(program: Program, name: str, *labels: str) -> float:
    """Add up the values of a metric whose labels have these values among them."""
    series = scrape(program.url).get(name, {})
    return sum(value for key, value in series.items() if set(labels) <= set(key))


def test_a_storm_of_failures_is_one_alert_and_one_all_clear(
    alerting: Program, channel: Channel
) -> None:
    before = len(channel.texts())
    people = [new_person() for _ in range(5)]
    for person in people:
        alerting.iterable.tell(BAD_ADDRESS, person=person)
        alerting.accept(webhook(person, code=f"STORM-{person}"))
    channel.wait(lambda: len(channel.texts()) > before, seconds=40)
    alerting.run("redeliver", "--status", "dead", "--yes")
    alerting.iterable.arrived(*people)
    first, last = said(channel, before + 2)
    assert "ALERT" in first
    assert OVER.search(last)
    assert re.search(r"\b[345]\b", first)
    assert not any(person in first + last for person in people)
    assert "STORM" not in first + last


def test_a_stopped_route_is_named_with_what_to_fix(
    alerting: Program, channel: Channel
) -> None:
    before, person = len(channel.texts()), new_person()
    alerting.iterable.tell(BAD_CAMPAIGN, campaign=2, times=None)
    alerting.accept(webhook(person, campaign="Broken"))
    channel.wait(lambda: len(channel.texts()) > before, seconds=40)
    assert "broken" in requests.get(f"{alerting.url}/readyz", timeout=30).text
    assert total(alerting, "bridge_circuit_state", "route:broken") == 1
    alerting.iterable.forget()
    alerting.run("resume", "broken", "--yes")
    alerting.iterable.arrived(person)
    first, last = said(channel, before + 2)
    assert "broken" in first
    assert OVER.search(last)


def test_rejected_webhooks_in_a_row_alert_before_voucherify_gives_up(
    program: Program, channel: Channel
) -> None:
    # Of its own: what no sender proves is not counted beside authentic webhooks.
    program.env["ALERT_WEBHOOK_URL"] = channel.address
    program.start()
    before = len(channel.texts())
    for _ in range(5):
        answer = program.post(webhook(), headers={"x-voucherify-signature": "0" * 64})
        assert answer.status_code == 401
    channel.wait(lambda: len(channel.texts()) > before, seconds=40)
    assert total(program, "bridge_webhook_consecutive_failures") == 5
    program.accept(webhook())
    first, last = said(channel, before + 2)
    assert "webhook" in first.lower()
    assert OVER.search(last)
    assert "s3cret" not in program.log


def test_metrics_tell_what_all_processes_have_counted(alerting: Program) -> None:
    names = ("stored", "duplicate")
    before = [total(alerting, "bridge_webhooks_total", name) for name in names]
    sent = total(alerting, "bridge_attempts_total", "success")
    accepted = total(alerting, "bridge_attempt_results_total", "all", "accepted")
    rejected = total(alerting, "bridge_rejected_requests_total")
    earned = [webhook(new_person()) for _ in range(6)]
    people = [one["data"]["customer"]["source_id"] for one in earned]
    for one in earned:
        alerting.accept(one)
    alerting.accept(earned[0], status="duplicate")
    alerting.post(earned[0], headers={"x-voucherify-signature": "no"})
    alerting.iterable.arrived(*people)
    wait_for(
        lambda: (
            total(alerting, "bridge_attempt_results_total", "all", "accepted")
            == accepted + 6
        )
    )
    # Each question is a new connection, which any of the processes may take.
    for _ in range(6):
        after = [total(alerting, "bridge_webhooks_total", name) for name in names]
        assert after == [before[0] + 6, before[1] + 1]
        assert total(alerting, "bridge_attempts_total", "success") == sent + 6
        assert total(alerting, "bridge_rejected_requests_total") == rejected + 1
    page = "".join(scrape(alerting.url))
    assert not any(person in page for person in people)


def test_a_worker_of_its_own_shows_its_figures_and_drains_at_sigterm(
    program: Program,
) -> None:
    program.start("--no-deliver")
    address = f"127.0.0.1:{program.port + 1}"
    worker = program.launch("worker", "--status-address", address)
    program.wait_ready(worker, f"http://{address}")
    person = new_person()
    program.accept(webhook(person))
    program.iterable.arrived(person)
    series = "bridge_attempts_total"
    wait_for(lambda: sum(scrape(f"http://{address}")[series].values()) == 1)
    ready = requests.get(f"http://{address}/readyz", timeout=30)
    assert ready.json()["status"] == "ready"
    assert requests.get(f"{program.url}/readyz", timeout=30).json()["workers"] == 1
    assert total(program, "bridge_attempts_total") == 0
    success = {"msg": "", "code": "Success", "params": None}
    program.iterable.tell(
        Answer(delay=1.0, body=success), person=(late := new_person())
    )
    [delivery] = program.accept(webhook(late))
    program.iterable.wait(lambda: program.iterable.attempts(late))
    worker.terminate()
    assert worker.wait(25) == 0
    assert program.delivery(delivery)["delivery"]["status"] == "accepted"
