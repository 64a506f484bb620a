"""`check` finds what would go wrong; `render` shows what would be sent."""

import json

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
