"""People and what is kept of them: `forget`, `anonymise`, retention."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.product import dialect
from tests.product.dialect_operations import apply
from tests.product.program import SAMPLES, SECRET, Program, new_person, sign, webhook
from tests.product.vendor import lines

COUPON = SAMPLES / "01_project_voucher_published_discount.json"
REFERRED = SAMPLES / "16_distribution_customer_referred.json"
#: Events of which each is about one person.
GIVING = ["customer.rewarded", "*publication.succeeded", "voucher.published"]
#: What the samples tell of one person.
PERSONAL = [
    *("crm-10482", "cust_FY08nyJ1kUiMa7YkbrfM5fZt", "ana.whitfield@shop.example"),
    *("Whitfield", "WLCM-7Qx2Lp", "THX-9vB30k"),
]


def everything_said(program: Program) -> str:
    """Collect what the listing commands and every history print."""
    commands = [("deliveries",), ("events",), ("deliveries", "--json")]
    commands += [("events", one["id"]) for one in program.events()[-2:]]
    commands += [("deliveries", one["id"]) for one in program.deliveries()[-2:]]
    return "".join(program.run(*command) for command in commands)


def test_forget_shows_its_plan_and_waits_for_yes(program: Program) -> None:
    program.run("replay", "--yes", str(COUPON))
    plan = program.command("forget", "crm-10482")
    assert plan.returncode == 1
    assert "--yes" in plan.stderr
    assert "1 webhook" in plan.stderr
    assert program.deliveries()[0]["recipient"] == "crm-10482"


@pytest.mark.parametrize("name", ["crm-10482", "ana.whitfield@shop.example"])
def test_nothing_of_a_forgotten_person_is_left_in_any_output_or_file(
    program: Program, name: str
) -> None:
    program.route(match={"events": GIVING})
    program.run("replay", "--yes", str(SAMPLES))
    program.run("forget", name, "--yes")
    said = everything_said(program)
    assert [one for one in PERSONAL if one in said] == []
    for path in program.folder.glob("bridge.db*"):
        content = path.read_bytes()
        assert [one for one in PERSONAL if one.encode() in content] == [], path.name
    assert "crm-20917" in program.run("deliveries")


def test_a_message_that_waits_for_a_forgotten_person_is_not_sent(
    program: Program,
) -> None:
    apply(program, "pause", "all", "--reason", "not yet")
    program.start()
    person, other = new_person(), new_person()
    [forgotten] = program.accept(webhook(person))
    program.accept(webhook(other))
    program.run("forget", person, "--yes")
    apply(program, "resume", "all")
    program.iterable.arrived(other)
    row = program.delivery(forgotten)["delivery"]
    assert (row["status"], row["due_at"]) == ("suppressed", None)
    assert person not in json.dumps(row)
    assert program.iterable.attempts(person) == []


def test_the_same_reward_is_not_sent_again_to_a_forgotten_person(
    program: Program,
) -> None:
    told = webhook(new_person())
    program.run("replay", "-", "--yes", stdin=lines(told))
    program.run("forget", told["data"]["customer"]["source_id"], "--yes")
    again = {**told, "id": "whs_another0000000001"}
    assert "duplicate" in program.run("replay", "-", "--yes", stdin=lines(again))
    assert len(program.deliveries()) == 1


def test_forgetting_twice_finds_nothing_the_second_time(program: Program) -> None:
    program.run("replay", "--yes", str(COUPON))
    program.run("forget", "crm-10482", "--yes")
    again = program.command("forget", "crm-10482", "--yes")
    assert again.returncode == 0
    counts = [line.split()[0] for line in again.stdout.splitlines()]
    assert set(counts) == {"0"}


def test_captures_that_still_name_the_person_are_listed(program: Program) -> None:
    program.run("replay", "--yes", str(COUPON))
    [event] = program.events()
    path = program.run("events", event["id"], "--export").strip()
    told = program.command("forget", "crm-10482", "--yes")
    assert told.returncode == 0
    assert path in told.stderr
    assert (program.folder / path).exists()


def test_a_forgotten_webhook_is_neither_exported_nor_put_back(program: Program) -> None:
    program.run("replay", "--yes", str(COUPON))
    program.run("forget", "crm-10482", "--yes")
    [event], [row] = program.events(), program.deliveries()
    assert program.command("events", event["id"], "--export").returncode == 1
    assert not (program.folder / "captures").exists()
    again = program.command("redeliver", row["id"], "--force", "--yes")
    assert again.returncode == 1
    assert "no longer kept" in again.stderr


def anonymous(program: Program, *arguments: str) -> list[dict[str, Any]]:
    shown = program.run("anonymise", *arguments)
    return [json.loads(line) for line in shown.splitlines()]


def test_anonymised_captures_name_nobody_and_still_go_together(
    program: Program,
) -> None:
    shown = program.run("anonymise", str(COUPON), str(REFERRED))
    assert [one for one in PERSONAL if one in shown] == []
    assert "Welcome Codes" in shown
    assert "publication" in shown
    first, second = (json.loads(line)["body"] for line in shown.splitlines())
    assert anonymous(program, str(COUPON))[0]["body"] == first
    other = anonymous(program, str(COUPON), "--key", "another")
    assert other[0]["body"] != first
    plan = program.command("replay", "--dry-run", "-", stdin=shown)
    assert plan.returncode == 0
    assert "parked" not in plan.stdout
    assert first != second


def test_an_event_is_exported_anonymously(program: Program) -> None:
    program.run("replay", "--yes", str(COUPON))
    [event] = program.events()
    path = program.run("events", event["id"], "--export", "--anonymous").strip()
    text = Path(program.folder, path).read_text(encoding="utf-8")
    assert [one for one in PERSONAL if one in text] == []
    assert json.loads(program.run("render", path, "--json"))["status"] == "stored"
    assert SECRET not in text
    assert sign(COUPON.read_bytes()) not in text


@pytest.mark.parametrize(
    ("retention", "fault"),
    [
        ({"delete_after": "29d"}, "delete_after"),
        ({"redact_after": "0d"}, "redact_after"),
        ({"redact_after": "90d", "delete_after": "60d"}, "redact_after"),
        ({"redact_after": "soon"}, "redact_after"),
        ({"redact_after": "30d", "delete_after": "180d"}, None),
        ({"redact_after": None, "delete_after": None}, None),
    ],
    ids=["too short", "nothing", "after removal", "words", "sound", "off"],
)
def test_retention_takes_sound_times_only(
    program: Program, retention: dict[str, str | None], fault: str | None
) -> None:
    program.configure(retention=retention)
    done = program.command("check")
    assert done.returncode == (0 if fault is None else 2), done.stderr
    if fault is not None:
        assert dialect.place(f"retention.{fault}") in done.stderr
