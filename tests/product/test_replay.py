"""`replay`: captured webhooks through the intake, with a plan shown first."""

import json
import os
import stat
from pathlib import Path

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
    program.env["ITERABLE_BASE_URL"] = "https://api.iterable.com"
    refused = program.command("replay", str(COUPON), str(REFERRAL))
    assert refused.returncode == 1
    assert "https://api.iterable.com" in refused.stderr
    assert "2 messages to 1 real customer" in refused.stderr
    assert "--yes" in refused.stderr
    assert is_empty(program)
    program.run("replay", "--yes", str(COUPON), str(REFERRAL))
    assert program.statuses() == ["pending", "pending"]


def test_a_second_replay_of_a_folder_makes_no_message(program: Program) -> None:
    first = program.command("replay", "--yes", str(SAMPLES))
    made = {one["id"] for one in program.deliveries()}
    assert f"{len(made)} messages queued" in first.stderr
    again = program.command("replay", "--yes", str(SAMPLES))
    assert again.returncode == 0
    assert "queued" not in again.stderr
    assert {one["id"] for one in program.deliveries()} == made


def test_a_file_that_cannot_be_read_stops_a_replay_before_the_first_webhook(
    program: Program,
) -> None:
    bad = program.folder / "bad.json"
    bad.write_text("not json", encoding="utf-8")
    done = program.command("replay", "--yes", str(COUPON), str(bad))
    assert done.returncode == 1
    assert "bad.json" in done.stderr
    assert is_empty(program)


def test_one_bad_file_of_a_folder_does_not_keep_the_others_out(
    program: Program,
) -> None:
    folder = program.folder / "captures"
    folder.mkdir()
    (folder / "bad.json").write_text("not json", encoding="utf-8")
    os.mkfifo(folder / "pipe.json")
    good = json.dumps(webhook())
    (folder / "lines.jsonl").write_text(f"no\n{good}\n", encoding="utf-8")
    done = program.command("replay", "--yes", str(folder))
    assert done.returncode == 1
    for name in ("bad.json", "pipe.json", "lines.jsonl line 1"):
        assert name in done.stderr
    assert program.statuses() == ["pending"]


def test_json_lines_are_replayed_from_standard_input(program: Program) -> None:
    shown = program.run("replay", "-", "--yes", stdin=lines(webhook(), webhook()))
    assert shown.count("stored") == 2
    assert "line 2" in shown


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
    told = webhook(person, campaign="Spring", code="FIX-1")
    if kind == "parked":
        program.route(recipient=["email"])
    else:
        program.route(match={"campaigns": ["Summer"]})
    program.run("replay", "-", "--yes", stdin=lines(told))
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


def test_an_exported_event_is_a_capture_only_its_owner_reads(program: Program) -> None:
    told = webhook()
    program.run("replay", "-", "--yes", stdin=lines(told))
    [event] = program.events()
    path = Path(program.run("events", event["id"], "--export").strip())
    assert path == Path("captures", f"{event['id']}.json")
    assert stat.S_IMODE((program.folder / path).stat().st_mode) == 0o600
    capture = json.loads((program.folder / path).read_text(encoding="utf-8"))
    body = capture["body"]
    assert (json.loads(body) if isinstance(body, str) else body) == told
    assert "duplicate" in program.run("replay", "--yes", str(path))
