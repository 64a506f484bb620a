"""`check` finds what would go wrong; `render` shows what would be sent."""

import json

import pytest

from tests.product import dialect
from tests.product.dialect import new_only
from tests.product.program import SAMPLES, Program, webhook
from tests.product.recorder import Answer
from tests.product.vendor import lines

COUPON = str(SAMPLES / "01_project_voucher_published_discount.json")
NO_WEBHOOK = str(SAMPLES / "api_publication_single.json")
SENT = (
    '{"campaignId": {{ route.campaign_id }}, "recipientUserId": %s, "dataFields": %s}'
)
ADDRESS = "{{ recipient.user_id }}"


def places(text: str) -> list[str]:
    """List the places that problems are about."""
    return sorted(line.split(": ")[0] for line in text.splitlines())


def test_a_sound_configuration_has_no_problem_and_no_output(program: Program) -> None:
    program.env["ITERABLE_WEBHOOK_SECRET"] = "s3cret-word"
    done = program.command("check")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "no problem" in done.stderr
    assert not list(program.folder.glob("bridge.db*"))


def test_check_notes_that_nothing_can_be_confirmed_without_a_secret(
    program: Program,
) -> None:
    done = program.command("check")
    assert done.returncode == 0
    assert "ITERABLE_WEBHOOK_SECRET" in done.stderr


def test_every_problem_is_listed_at_once(program: Program) -> None:
    program.template("broken.json.j2", "{{ reward.code")
    wrong = {"group_by": "person", "campaign_id": "1", "on_unknown_outcome": "maybe"}
    program.route(template="broken.json.j2", **wrong)
    program.destination(rate_per_second=0)
    program.configure(retyr={})
    for name in ("VOUCHERIFY_WEBHOOK_SECRET", "ITERABLE_API_KEY"):
        del program.env[name]
    done = program.command("check")
    assert done.returncode == 2
    expected = [
        "ITERABLE_API_KEY",
        "VOUCHERIFY_WEBHOOK_SECRET",
        "destinations.iterable.rate_per_second",
        "retyr",
        "routes.0.campaign_id",
        "routes.0.group_by",
        "routes.0.on_unknown_outcome",
        "routes.0.template",
    ]
    assert places(done.stderr) == sorted(map(dialect.place, expected))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        (SENT % (ADDRESS, '{"a": {{ reward.nope }}}'), "nope"),
        (SENT % ('"{{ recipient.user_id }}"', "{}"), "quotes"),
        (SENT % (ADDRESS, '{}, "subject": "Hello"'), "subject"),
        ('{"campaignId": 1,', "line 1"),
        ("{{ reward.code | nonsense }}", "nonsense"),
    ],
    ids=["undefined", "quotes", "unknown key", "no JSON", "unknown filter"],
)
def test_check_finds_a_broken_template(
    program: Program, source: str, fault: str
) -> None:
    program.template("broken.json.j2", source)
    program.route(template="broken.json.j2")
    done = program.command("check")
    assert done.returncode == 2
    assert "routes.0.template: " in done.stderr
    assert fault in done.stderr


def test_check_names_the_waiting_deliveries_of_a_route_that_is_gone(
    program: Program,
) -> None:
    program.run("replay", COUPON, "--yes")
    program.route(name="new-name")
    gone = program.command("check")
    assert gone.returncode == 2
    assert "all" in gone.stderr
    program.route(name="new-name", previous_names=["all"])
    assert program.command("check").returncode == 0


def test_check_online_asks_iterable_for_each_campaign(program: Program) -> None:
    assert program.command("check", "--online").returncode == 0
    assert program.iterable.calls("/api/campaigns/1")
    refused = Answer(status=401, body={"msg": "no", "code": "BadApiKey"})
    program.iterable.tell(refused, path="/api/", times=None)
    done = program.command("check", "--online")
    assert done.returncode == 2
    assert program.env["ITERABLE_API_KEY"] not in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"campaignState": "Ready"}, "not running"),
        ({"type": "Blast"}, "Triggered"),
        ({"messageMedium": "SMS"}, "medium"),
    ],
    ids=["not activated", "a blast", "another medium"],
)
def test_check_online_knows_a_campaign_that_cannot_send(
    program: Program, change: dict[str, str], said: str
) -> None:
    sound = {"type": "Triggered", "campaignState": "Running", "messageMedium": "Email"}
    answer = Answer(body={"id": 1, "name": "One", **sound, **change})
    program.iterable.tell(answer, path="/api/campaigns/", times=None)
    done = program.command("check", "--online")
    assert done.returncode == 2
    assert "routes.0.campaign_id: " in done.stderr
    assert said in done.stderr


@new_only("today a date in metadata fails the start, as no sample has it")
def test_what_only_a_sample_lacks_is_a_note_and_no_failure(program: Program) -> None:
    source = SENT % (ADDRESS, '{"d": {{ customer.metadata.birthday | iterable_date }}}')
    program.template("own.json.j2", source)
    program.route(template="own.json.j2", match={"campaigns": ["Load"]})
    done = program.command("check")
    assert done.returncode == 0, done.stderr
    assert "birthday" in done.stderr


@new_only("today check knows samples only")
def test_check_renders_against_the_users_own_webhooks(program: Program) -> None:
    source = SENT % (ADDRESS, '{"a": {{ customer.metadata.shoe_size }}}')
    program.template("own.json.j2", source)
    program.route(template="own.json.j2")
    for metadata, status in (({"shoe_size": 42}, 0), ({}, 2)):
        captured = program.folder / "own.json"
        told = webhook(customer={"metadata": metadata})
        captured.write_text(json.dumps(told), encoding="utf-8")
        done = program.command("check", "--capture", str(captured))
        assert done.returncode == status, done.stderr


def test_render_shows_the_payload_and_keeps_nothing(program: Program) -> None:
    program.env["DATABASE_URL"] = "sqlite:///own.db"
    [line] = program.run("render", "--json", COUPON).splitlines()
    found = json.loads(line)
    assert found["payload"]["dataFields"]["couponCode"] == "WLCM-7Qx2Lp"
    assert found["recipient"] == "crm-10482"
    assert found["route"] == "all"
    shown = program.run("render", COUPON)
    text = "".join(one for one in shown.splitlines() if not one.startswith("#"))
    payload = json.loads(text)
    # Each rendering is of another delivery.
    for one in (payload, found["payload"]):
        del one["metadata"], one["dataFields"]["bridgeId"]
    assert payload == found["payload"]
    assert not list(program.folder.glob("*.db*"))
    assert program.iterable.calls() == []


def test_render_says_why_there_is_no_payload(program: Program) -> None:
    program.route(match={"campaigns": ["Welcome*"]}, template="held.json.j2")
    program.template("held.json.j2", SENT % (ADDRESS, '{"a": {{ reward.nope }}}'))
    other = lines(webhook(campaign="Another"))
    done = program.command("render", NO_WEBHOOK, COUPON, "-", stdin=other)
    assert done.returncode == 1
    for state in ("parked", "held", "ignored"):
        assert done.stdout.count(f": {state}: ") == 1, done.stdout
    assert "nope" in done.stdout
