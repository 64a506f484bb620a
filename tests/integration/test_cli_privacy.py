"""Commands about what is no longer kept."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import main
from bridge.resources import example_config, samples
from bridge.store import Store, open_store

pytestmark = pytest.mark.integration

Run = Callable[..., Result]
SAMPLES = samples() / "voucherify"
COUPON = SAMPLES / "01_project_voucher_published_discount.json"
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
