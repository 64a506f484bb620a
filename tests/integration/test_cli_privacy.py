"""Commands about what is no longer kept."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.model import News, Report
from bridge.resources import example_config, samples
from bridge.store import Store, open_store

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
SAMPLES = samples() / "voucherify"
COUPON = SAMPLES / "01_project_voucher_published_discount.json"
AUTUMN = SAMPLES / "02_project_publication_succeeded.json"
REFERRED = SAMPLES / "16_distribution_customer_referred.json"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/bridge.db"


@pytest.fixture
def run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    env = {
        "BRIDGE_CONFIG": str(example_config()),
        "DATABASE_URL": database,
        "ITERABLE_BASE_URL": "http://127.0.0.1:9",
        "ITERABLE_API_KEY": "key",
        "VOUCHERIFY_WEBHOOK_SECRET": "secret",
    }

    def run(*arguments: object, status: int = 0) -> Result:
        result = CliRunner().invoke(main, [*map(str, arguments)], env=env)
        assert result.exit_code == status, result.output
        return result

    return run


def only(run: Run, command: str) -> str:
    (row,) = run(command, "--json").stdout.splitlines()
    return str(json.loads(row)["id"])


def blank_all(store: Store) -> None:
    with store.write() as tx:
        before = tx.now + timedelta(seconds=1)
        page = store.retiring.old_events(tx, before, after=None, most=9, whole=True)
        assert store.retiring.blank(tx, page.events, before)


@pytest.fixture
def blanked(run: Run, database: str) -> None:
    """One dropped delivery, and nothing left of its webhook."""
    run("replay", COUPON)
    delivery = only(run, "deliveries")
    with closing(open_store(database)) as store:
        with store.write() as tx:
            store.queue.hold_orphans(tx, [])
        run("resolve", delivery, "--drop", "--reason", "not wanted")
        blank_all(store)


@pytest.mark.usefixtures("blanked")
def test_a_blanked_story_says_that_it_is(run: Run) -> None:
    story = run("deliveries", only(run, "deliveries")).stdout
    assert "what it held is no longer kept" in story
    assert "crm-10482" in story
    assert "Whitfield" not in story
    assert "what it held is no longer kept" in run("events", only(run, "events")).stdout


@pytest.mark.usefixtures("blanked")
def test_a_blanked_event_makes_no_capture(run: Run) -> None:
    refused = run("events", only(run, "events"), "--capture", status=1)
    assert "no longer kept" in refused.stderr
    assert not Path("captures").exists()


@pytest.mark.usefixtures("blanked")
def test_a_blanked_delivery_is_not_put_back_and_the_plan_says_why(run: Run) -> None:
    delivery = only(run, "deliveries")
    refused = run("redeliver", delivery, "--force", "--yes", status=1)
    assert "0 would be put back" in refused.stderr
    assert "1 would not: its webhook is no longer kept" in refused.stderr


def test_a_blanked_ignored_event_is_not_decided_again(run: Run, database: str) -> None:
    run("replay", REFERRED)
    with closing(open_store(database)) as store:
        blank_all(store)
    again = run("replay", "--stored", "--dry-run")
    assert "event " not in again.output


def test_forgetting_shows_its_plan_and_waits_for_yes(run: Run) -> None:
    run("replay", COUPON)
    plan = run("forget", "crm-10482", status=1)
    assert "1 webhooks would be blanked" in plan.stderr
    assert "1 of them would be waiting" in plan.stderr
    assert "add --yes" in plan.stderr
    assert "crm-10482" in run("deliveries").stdout


def test_what_only_iterable_reported_waits_for_yes_as_well(
    run: Run, database: str
) -> None:
    reported = Report(
        identity="m1:emailSend",
        event_name="emailSend",
        news=News.SENT,
        reason=None,
        message_id="m1",
        campaign_id=1,
        occurred_at=None,
        email="ana@shop.example",
    )
    run("migrate")
    with closing(open_store(database)) as store, store.write() as tx:
        assert store.reports.keep(tx, reported, None, None)
    plan = run("forget", "ana@shop.example", status=1)
    assert "1 reports of Iterable would be removed" in plan.stderr
    done = run("forget", "ana@shop.example", "--yes")
    assert "1 reports of Iterable were removed" in done.stdout


def test_a_forgotten_person_is_in_no_answer_and_no_byte_of_the_file(
    run: Run, tmp_path: Path
) -> None:
    run("replay", SAMPLES)
    told = run("forget", "crm-10482", "--yes").stdout
    assert "webhooks were blanked" in told
    listed = run("deliveries", "--json").stdout + run("events", "--json").stdout
    for name in ("crm-10482", "WLCM-7Qx2Lp", "Whitfield", "cust_FY08nyJ1kUiMa7Ykb"):
        assert name not in listed
        for path in tmp_path.glob("bridge.db*"):
            assert name.encode() not in path.read_bytes(), (name, path)
    assert "crm-20917" in listed


def test_forgetting_again_finds_nothing(run: Run) -> None:
    run("replay", SAMPLES)
    run("forget", "crm-10482", "--yes")
    again = run("forget", "crm-10482", "--yes")
    assert [line.split()[0] for line in again.stdout.splitlines()] == ["0"] * 5
    assert "0 of them" in again.stdout


def test_captures_that_still_name_the_person_are_named(run: Run) -> None:
    run("replay", COUPON)
    run("events", only(run, "events"), "--capture")
    Path("captures/other.json").write_bytes(AUTUMN.read_bytes())
    told = run("forget", "crm-10482", "--yes").stderr
    assert told.count("still in the capture") == 1
    assert "Not looked at: captures elsewhere, backups" in told


def test_what_was_told_is_not_told_again_to_a_forgotten_person(run: Run) -> None:
    run("replay", COUPON)
    run("forget", "crm-10482", "--yes")
    event = json.loads(COUPON.read_bytes())
    event["id"] = "whs_another0000000001"
    Path("again.json").write_text(json.dumps(event))
    plan = run("replay", "--dry-run", "again.json").stderr
    assert "1 already known" in plan
    assert "duplicate" in run("replay", "again.json").stdout


def test_a_blank_name_is_a_usage_error(run: Run) -> None:
    assert "name a source id" in run("forget", " ", status=2).stderr


def test_an_event_becomes_an_anonymous_capture(run: Run) -> None:
    run("replay", COUPON)
    run("events", only(run, "events"), "--capture", "--anonymous")
    (path,) = Path("captures").iterdir()
    text = path.read_text()
    assert "crm-10482" not in text
    assert "WLCM-7Qx2Lp" not in text
    assert '"status": "stored"' in run("render", path, "--json").stdout


def test_captures_are_printed_without_people_and_go_together(run: Run) -> None:
    first = run("anonymise", COUPON, REFERRED).stdout
    assert "crm-10482" not in first
    assert len(first.splitlines()) == 2
    alone = json.loads(run("anonymise", COUPON).stdout)
    assert json.loads(first.splitlines()[0])["body"] == alone["body"]
    other = json.loads(run("anonymise", COUPON, "--key", "other").stdout)
    assert other["body"] != alone["body"]
    Path("harmless.jsonl").write_text(first)
    assert "1 new" in " ".join(
        run("replay", "--dry-run", "harmless.jsonl").stderr.split()
    )


def test_what_cannot_be_read_is_named_and_the_rest_is_printed(run: Run) -> None:
    Path("folder").mkdir()
    Path("folder/a.json").write_bytes(COUPON.read_bytes())
    Path("folder/b.json").write_text("no JSON")
    done = run("anonymise", "folder", status=1)
    assert len(done.stdout.splitlines()) == 1
    assert "b.json" in done.stderr


def test_anonymous_goes_with_capture(run: Run) -> None:
    run("replay", COUPON)
    refused = run("events", only(run, "events"), "--anonymous", status=2)
    assert "goes with --capture" in refused.stderr
