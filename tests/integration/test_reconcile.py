"""`reconcile` as typed, beside a real store and a real server that lists."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.resources import example_config, samples
from tests.integration.voucherify_list import (
    APP_ID,
    APP_TOKEN,
    Answer,
    Project,
    ago,
    listed,
    recent_webhook,
    recorded,
    serving,
)

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
TOLD = ("01_", "03_", "13_", "15_")
NOT_LISTED = "02_"
MISSING = {
    "pub_c6WdR1mKzX9oLq4tYv8nBs2eHj5uGpA0",
    "pub_T0sVb7fNq3yUk6hJx1rMz9wCe4aLd8gP",
    "pub_Xe5Gm2pRt8kYw1cQz7vHs4nBj9uLd3fA",
}
FAILED = "pub_Kd9Qw3eRt6yUi1oPa4sDf7gHj0kLz2xC"
EXTRA = "pub_qqz1aIGMbbjBMZEH1OuGPhtfzjLsdcqf"


@pytest.fixture
def project() -> Project:
    return recorded()


@pytest.fixture
def run(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Run]:
    """Run a command in this process; Iterable is on loopback."""
    monkeypatch.chdir(tmp_path)
    with serving(project) as url:
        env = {
            "BRIDGE_CONFIG": str(example_config()),
            "DATABASE_URL": f"sqlite:///{tmp_path}/bridge.db",
            "ITERABLE_BASE_URL": "http://127.0.0.1:9",
            "VOUCHERIFY_APP_ID": APP_ID,
            "VOUCHERIFY_APP_TOKEN": APP_TOKEN,
            "VOUCHERIFY_BASE_URL": url,
        }

        def run(*arguments: str, status: int = 0, **extra: str) -> Result:
            result = CliRunner().invoke(main, arguments, env=env | extra)
            assert result.exit_code == status, result.output
            return result

        yield run


@pytest.fixture
def told(run: Run, tmp_path: Path) -> None:
    """Let the ledger know four publications of the list, and one beside it."""
    folder = tmp_path / "webhooks"
    folder.mkdir()
    for path in sorted((samples() / "voucherify").iterdir()):
        if path.name.startswith((*TOLD, NOT_LISTED)):
            (folder / path.name).write_bytes(recent_webhook(path))
    run("replay", str(folder))


def findings(result: Result) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for line in result.stdout.splitlines():
        one = json.loads(line)
        if "finding" in one:
            found.setdefault(one["finding"], set()).add(one["publication_id"])
    return found


def deliveries(run: Run) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in run("deliveries", "--json").stdout.splitlines()
    ]


def retaining(folder: Path, retention: dict[str, str]) -> Path:
    """Write the example configuration with another retention; return its path."""
    data = yaml.safe_load(example_config().read_text(encoding="utf-8"))
    templates = str(example_config().parent / "templates")
    data |= {"templates": templates, "retention": retention}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


@pytest.mark.usefixtures("told")
def test_the_plan_names_exactly_what_is_missing_failed_and_extra(run: Run) -> None:
    plan = run("reconcile", "--since", "1h", "--json")
    assert findings(plan) == {"missing": MISSING, "failed": {FAILED}, "extra": {EXTRA}}
    assert "4 told" in plan.stderr
    assert "3 missing   3 messages to 2 people" in plan.stderr
    assert "nothing done; add --backfill" in plan.stderr


@pytest.mark.usefixtures("told")
def test_a_backfill_queues_the_missing_ones_and_a_second_run_does_nothing(
    run: Run,
) -> None:
    before = {one["id"] for one in deliveries(run)}
    run("reconcile", "--since", "1h", "--backfill")
    made = [one for one in deliveries(run) if one["id"] not in before]
    assert {one["key"].split(":")[1] for one in made} == MISSING
    assert {(one["route"], one["code"]) for one in made} == {
        ("rewards", "WLCM-m3Kd8s"),
        ("rewards", "GIFT-55Wn0q"),
        ("autumn-set", "AUT-8hVq2, AUT-1cXk7"),
    }
    again = run("reconcile", "--since", "1h", "--backfill", "--json")
    assert findings(again) == {"failed": {FAILED}, "extra": {EXTRA}}
    assert "nothing is missing: nothing done" in again.stderr
    assert len(deliveries(run)) == len(before) + 3


@pytest.mark.usefixtures("told")
def test_a_backfilled_message_shows_the_whole_voucher(run: Run, tmp_path: Path) -> None:
    run("reconcile", "--since", "1h", "--backfill")
    expiring = [one for one in deliveries(run) if one["code"] == "GIFT-55Wn0q"]
    assert expiring[0]["voucher_expires_at"] == "2027-01-31T22:59:59Z"
    event = run("events", expiring[0]["event_id"], "--capture", str(tmp_path / "out"))
    shown = run("render", event.stdout.strip()).stdout
    assert '"expiresAt": "2027-01-31 22:59:59 +00:00"' in shown


def webhook(one: dict[str, Any], voucher: dict[str, Any]) -> bytes:
    """The webhook of a listed publication, as Voucherify would send it."""
    publication = {name: one[name] for name in one if not name.startswith("voucher")}
    return json.dumps(
        {
            "id": "whs_late",
            "type": "voucher.published",
            "data": {
                "customer": one["customer"],
                "publication": publication | {"vouchers_id": one["vouchers_id"]},
                "voucher": voucher,
            },
            "source": {"id": "wh_1", "object": "webhook"},
            "event": {"id": "evvou_1", "type": "voucher.published"},
        }
    ).encode()


@pytest.mark.parametrize("comes", ["after", "before"])
def test_a_webhook_and_a_backfill_of_one_reward_are_one_message(
    comes: str, run: Run, project: Project, tmp_path: Path
) -> None:
    voucher = project.vouchers[1]
    project.publications = [
        one for one in project.publications if one["vouchers_id"] == [voucher["id"]]
    ]
    body = tmp_path / "webhook.json"
    body.write_bytes(webhook(project.publications[0], voucher))
    steps = [("reconcile", "--since", "1h", "--backfill"), ("replay", str(body))]
    for step in steps if comes == "after" else reversed(steps):
        run(*step)
    assert len(deliveries(run)) == 1
    shown = run("reconcile", "--since", "1h").stderr
    assert "1 told" in shown
    assert "0 missing" in shown


def test_only_the_untold_part_of_a_publication_is_missing(
    run: Run, project: Project, tmp_path: Path
) -> None:
    one = next(each for each in project.publications if len(each["vouchers_id"]) > 1)
    project.publications = [one]
    first, second = project.vouchers[2:]
    for voucher in (first, second):
        voucher["campaign"] = "Another"
    body = tmp_path / "webhook.json"
    body.write_bytes(webhook(one, first))
    run("replay", str(body))
    plan = run("reconcile", "--since", "1h", "--backfill")
    assert "a part of it was told" in plan.stdout
    assert Counter(each["code"] for each in deliveries(run)) == {
        first["code"]: 1,
        second["code"]: 1,
    }


def test_the_rest_of_what_is_told_whole_is_named_and_not_hidden(
    run: Run, project: Project, tmp_path: Path
) -> None:
    """One code was told as a reward; its route would tell the publication whole."""
    one = next(each for each in project.publications if len(each["vouchers_id"]) > 1)
    project.publications = [one]
    reward = {"assignment_id": "rewa_1", "voucher": project.vouchers[2]}
    document = {
        "id": "whs_1",
        "type": "customer.rewarded",
        "data": {
            "customer": one["customer"],
            "redemption": {"id": "r_1"},
            "reward": reward,
        },
        "source": {"id": "wh_1", "object": "webhook"},
        "event": {"id": "evcus_1", "type": "customer.rewarded"},
    }
    body = tmp_path / "webhook.json"
    body.write_text(json.dumps(document), encoding="utf-8")
    run("replay", str(body))
    plan = run("reconcile", "--since", "1h", "--backfill", "--json")
    assert findings(plan) == {"unusable": {one["id"]}}
    assert "a part of it was told; told by delivery" in plan.stdout
    assert len(deliveries(run)) == 1


def test_keys_that_may_not_see_vouchers_still_tell_codes_under_the_right_keys(
    run: Run, project: Project
) -> None:
    project.vouchers = []
    project.publications = [one for one in project.publications if one["id"] in MISSING]
    vouchers = {one["vouchers_id"][0] for one in project.publications}
    original = project.answer

    def answer(path: str, headers: Any) -> Answer:
        right = original(path, headers)
        return right if right.status == 200 else Answer(403, {"code": 403})

    project.answer = answer  # type: ignore[method-assign]
    plan = run("reconcile", "--since", "1h", "--backfill", "--json")
    assert "4 vouchers cannot be seen" in plan.stderr
    assert {kind: len(ids) for kind, ids in findings(plan).items()} == {
        "missing": 2,
        "unusable": 1,
    }
    keys = {one["key"].split(":")[2] for one in deliveries(run)}
    assert keys < vouchers


def test_a_voucher_that_exists_no_more_is_not_told(run: Run, project: Project) -> None:
    project.publications = project.publications[:1]
    plan = run("reconcile", "--since", "1h", "--backfill")
    assert "its voucher exists no more" in plan.stdout
    assert deliveries(run) == []


def test_what_came_long_after_is_late(run: Run, project: Project) -> None:
    project.publications = [
        one | {"created_at": ago(180)}
        for one in project.publications
        if one["id"] in MISSING
    ]
    run("reconcile", "--since", "1d", "--backfill")
    again = run("reconcile", "--since", "1d", "--json")
    assert findings(again) == {"late": MISSING}
    assert "came 3 h 0 min later" in again.stdout


def test_a_reward_told_by_another_event_is_not_missing(
    run: Run, project: Project, tmp_path: Path
) -> None:
    """A drop-in body without ids shares nothing but person and code with the list."""
    voucher = project.vouchers[0]
    one = next(
        each for each in project.publications if each["vouchers_id"] == [voucher["id"]]
    )
    project.publications = [one | {"created_at": ago(600)}]
    raw = {
        "campaignId": 1,
        "recipientUserId": one["customer"]["source_id"],
        "dataFields": {"couponCode": voucher["code"]},
    }
    capture = {"headers": {}, "body": json.dumps(raw), "door": "email/target"}
    file = tmp_path / "capture.json"
    file.write_text(json.dumps(capture), encoding="utf-8")
    run("replay", str(file))
    assert "0 missing" in run("reconcile", "--since", "1d").stderr


def test_what_no_route_wants_is_asked_about_once(run: Run, project: Project) -> None:
    card = {"loyalty_card": {"points": 0}, "campaign": "Club", "object": "voucher"}
    plain = project.publications[0]
    project.publications = [
        plain
        | {"id": f"pub_{number}", "vouchers_id": [f"v_{number}"]}
        | {"voucher": card | {"code": f"CARD-{number}"}}
        for number in range(250)
    ]
    project.vouchers = [
        {"id": f"v_{number}", "type": "LOYALTY_CARD", "campaign": "Club"}
        | {"code": f"CARD-{number}"}
        for number in range(250)
    ]
    shown = run("reconcile", "--since", "1h")
    assert "250 unwanted" in shown.stderr
    assert shown.stdout == ""
    assert len(project.asked) == 3 + 1


def test_only_the_window_is_compared(run: Run, project: Project) -> None:
    plain = [one for one in project.publications if one["id"] in MISSING]
    times = [ago(5), ago(90), ago(300)]
    project.publications = [
        one | {"created_at": at} for one, at in zip(plain, times, strict=True)
    ]
    plan = run("reconcile", "--since", "2h", "--until", "1h", "--json")
    assert findings(plan) == {"missing": {plain[1]["id"]}}


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "window",
    [("--since", "0001-01-01"), ("--since", "1h", "--until", "9999-12-31")],
    ids=["the first day", "the last day"],
)
def test_a_window_may_reach_to_the_ends_of_the_calendar(
    run: Run, tmp_path: Path, window: tuple[str, ...]
) -> None:
    kept = {"BRIDGE_CONFIG": str(retaining(tmp_path, {}))}
    plan = run("reconcile", *window, "--json", **kept)
    assert findings(plan) == {"missing": MISSING, "failed": {FAILED}, "extra": {EXTRA}}


def test_real_customers_are_counted_and_not_reached_without_yes(run: Run) -> None:
    real = {"ITERABLE_BASE_URL": "https://api.iterable.com"}
    plan = run("reconcile", "--since", "1h", "--backfill", status=1, **real)
    assert "real customers" in plan.stderr
    assert "nothing done; add --yes" in plan.stderr
    assert deliveries(run) == []
    run("reconcile", "--since", "1h", "--backfill", "--yes", **real)
    assert deliveries(run)


def test_an_interrupted_backfill_is_carried_on(run: Run, project: Project) -> None:
    """One of the three is stored, then the program is started again."""
    everything = project.publications
    project.publications = [one for one in everything if one["id"] in MISSING][:1]
    run("reconcile", "--since", "1h", "--backfill")
    project.publications = everything
    run("reconcile", "--since", "1h", "--backfill")
    keys = Counter(one["key"].split(":")[1] for one in deliveries(run))
    assert set(keys.values()) == {1}
    assert set(keys) == MISSING


def test_what_is_not_set_is_named_and_the_exit_code_is_2(run: Run) -> None:
    unset = {"VOUCHERIFY_APP_ID": "", "VOUCHERIFY_APP_TOKEN": ""}
    result = run("reconcile", "--since", "1h", status=2, **unset)
    assert "VOUCHERIFY_APP_ID: is not set; reconcile needs it\n" in result.stderr
    assert "VOUCHERIFY_APP_TOKEN: is not set" in result.stderr
    plain = {"VOUCHERIFY_BASE_URL": "http://api.voucherify.io"}
    result = run("reconcile", "--since", "1h", status=2, **plain)
    assert result.stderr == "VOUCHERIFY_BASE_URL: must be https, or loopback\n"


def test_a_wrong_key_is_one_line_and_shows_nothing_of_it(run: Run) -> None:
    result = run("reconcile", "--since", "1h", status=1, VOUCHERIFY_APP_TOKEN="oops-1")
    assert "401: VOUCHERIFY_APP_ID and" in result.stderr
    assert "oops-1" not in result.output
    assert result.stdout == ""


def test_a_refused_call_waits_as_long_as_it_is_asked_to(
    run: Run, project: Project
) -> None:
    project.troubles = [Answer(429, {"code": 429}, {"Retry-After": "1"})]
    plan = run("reconcile", "--since", "1h", "--json")
    assert findings(plan)["missing"] == MISSING


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(402, {"code": 402}), "402: Voucherify does not answer"),
        (Answer(body=b"[]"), "page 1 is no list of publications"),
        (
            Answer(429, {"code": 429}, {"X-Rate-Limit-Type": "api_calls_cycle"}),
            "the calls of this billing cycle are used up",
        ),
        (Answer(429, {}, {"Retry-After": "99999"}), "no more calls for 99999 seconds"),
    ],
    ids=["plan exceeded", "no list", "cycle used up", "a day's wait"],
)
def test_an_unusable_answer_ends_in_one_line_and_nothing_is_done(
    answer: Answer, said: str, run: Run, project: Project
) -> None:
    project.troubles = [answer]
    result = run("reconcile", "--since", "1h", "--backfill", status=1)
    assert said in result.stderr
    assert deliveries(run) == []


def test_a_list_without_end_ends(run: Run, project: Project) -> None:
    """The same page again and again, as from a server that does not count pages."""
    same = [one | {"id": f"pub_{n}"} for n, one in enumerate(project.publications * 13)]
    project.page = lambda _number, size: listed(same[:100], 1, size, total=9000)
    result = run("reconcile", "--since", "1d", "--backfill", status=1)
    assert "bring nothing new" in result.stderr
    assert deliveries(run) == []


@pytest.mark.usefixtures("told")
def test_keys_of_another_project_are_suspected(run: Run, project: Project) -> None:
    project.publications = [one for one in project.publications if one["id"] in MISSING]
    assert "do the keys fit this ledger?" in run("reconcile", "--since", "1h").stderr


def test_what_the_ledger_has_forgotten_is_not_taken_for_missing(
    run: Run, tmp_path: Path
) -> None:
    config = {"BRIDGE_CONFIG": str(retaining(tmp_path, {"remove_after": "30d"}))}
    result = run("reconcile", "--since", "31d", status=2, **config)
    assert "beyond retention.remove_after (30 days)" in result.stderr
    run("reconcile", "--since", "30d", **config)


def test_a_window_that_ends_before_it_begins_is_refused(run: Run) -> None:
    result = run("reconcile", "--since", "1h", "--until", "2h", status=2)
    assert "--until must be later than --since" in result.stderr
