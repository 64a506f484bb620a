"""`replay`: captured webhooks through the intake, with a plan shown first."""

import pytest

from tests.product.program import SAMPLES, Program, new_person, webhook
from tests.product.vendor import lines

COUPON = SAMPLES / "01_project_voucher_published_discount.json"
REFERRAL = SAMPLES / "14_distribution_customer_rewarded_referral_coupon.json"
NO_WEBHOOK = SAMPLES / "api_publication_single.json"
UNSENT = ("deliveries", "events")


def is_empty(program: Program) -> bool:
    """Tell whether the ledger has neither deliveries nor events."""
    return not any(program.rows(command) for command in UNSENT)


def test_a_dry_run_shows_what_each_webhook_would_become_and_stores_nothing(
    program: Program,
) -> None:
    program.run("migrate")
    program.route(match={"campaigns": ["Welcome*"]})
    other = lines(webhook(campaign="Another"))
    files = [str(COUPON), str(COUPON), str(NO_WEBHOOK), "-"]
    shown = program.run("replay", "--dry-run", *files, stdin=other)
    _, *outcomes = [line.split("  ")[0] for line in shown.splitlines()]
    assert outcomes[0] == "new"
    assert outcomes[1].startswith("already")
    assert outcomes[2:] == ["parked", "ignored"]
    assert is_empty(program)


def test_real_customers_are_counted_and_not_reached_without_yes(
    program: Program,
) -> None:
    program.run("migrate")
    program.env["ITERABLE_BASE_URL"] = "https://api.iterable.com"
    refused = program.command("replay", str(COUPON), str(REFERRAL))
    assert refused.returncode == 1
    assert "https://api.iterable.com" in refused.stderr
    assert "2 messages to 1 real customer" in refused.stderr
    assert "--yes" in refused.stderr
    assert is_empty(program)
    program.run("replay", "--yes", str(COUPON), str(REFERRAL))
    assert program.statuses() == ["pending", "pending"]


def test_webhooks_are_posted_signed_to_a_running_bridge(started: Program) -> None:
    people = [new_person() for _ in range(3)]
    path = started.folder / "posted.jsonl"
    path.write_text(lines(*map(webhook, people)), encoding="utf-8")
    command = ("replay", "--yes", "--to", started.url, str(path))
    first = started.run(*command)
    assert first.count("stored") == 3
    assert first.count("202") == 3
    started.iterable.arrived(*people)
    assert started.run(*command).count("duplicate") == 3


@pytest.mark.parametrize("kind", ["parked", "ignored"])
def test_stored_events_are_decided_again_after_a_fix(
    program: Program, kind: str
) -> None:
    person = new_person()
    earned = webhook(person, campaign="Spring", code="FIX-1")
    if kind == "parked":
        program.route(recipient=["email"])
    else:
        program.route(match={"campaigns": ["Summer"]})
    program.run("replay", "-", "--yes", stdin=lines(earned))
    [event] = program.events("--status", kind)
    assert program.deliveries() == []
    program.route()
    other = "--ignored" if kind == "parked" else "--parked"
    program.run("replay", "--reprocess", other, "--yes")
    assert program.deliveries() == []
    program.run("replay", "--reprocess", f"--{kind}", "--yes")
    [row] = program.deliveries()
    assert (row["code"], row["recipient"]) == ("FIX-1", person)
    assert (row["event_id"], row["status"]) == (event["id"], "pending")
