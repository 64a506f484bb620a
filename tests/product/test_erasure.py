"""People and what is kept of them: `forget`, `anonymise`, retention."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.product.program import SAMPLES, SECRET, Program, new_person, sign, webhook

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
    program.run("migrate")
    program.run("pause", "all", "--reason", "not yet", "--yes")
    program.start()
    person, other = new_person(), new_person()
    [forgotten] = program.accept(webhook(person))
    program.accept(webhook(other))
    program.run("forget", person, "--yes")
    program.run("resume", "all", "--yes")
    program.iterable.arrived(other)
    row = program.delivery(forgotten)["delivery"]
    assert (row["status"], row["due_at"]) == ("suppressed", None)
    assert person not in json.dumps(row)
    assert program.iterable.attempts(person) == []


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
