"""The shipped templates against the samples, and every snippet of their manual."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from bridge import voucherify
from bridge.errors import RenderError
from bridge.identity import recipient
from bridge.model import Capture, Reward
from bridge.rendering import CONTEXT, Payload, Templates
from bridge.rendering.filters import LEFT_OUT
from tests.conftest import SAMPLES, manifest
from tests.unit.payloads import BRIDGE_ID, SOMEBODY, compiled, route

ROOT = Path(__file__).parents[2]
TEMPLATES = Templates(
    ROOT / "templates", [path.name for path in (ROOT / "templates").iterdir()]
)
MANUAL = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")


def sample(file: str) -> Capture:
    return Capture(body=(SAMPLES / "voucherify" / file).read_bytes())


def send(
    capture: Capture,
    templates: Templates,
    name: str,
    *,
    reward: Reward | None = None,
    endpoint: str = "email/target",
    campaign_id: int | None = 16504306,
) -> Payload:
    parsed = voucherify.parse(capture)
    one = reward or parsed.rewards[0]
    return templates.render(
        route(name, endpoint=endpoint, campaign_id=campaign_id),
        endpoint=endpoint,
        parsed=parsed,
        reward=one,
        recipient=recipient(one, ("source_id", "email")),
        delivery_id=BRIDGE_ID,
    )


def document(file: str, name: str, **changes: Any) -> Any:
    return json.loads(send(sample(file), TEMPLATES, f"{name}.json.j2", **changes).body)


def rewarded() -> list[Any]:
    """List (file, index, code, person) of each reward with a code outside raw."""
    found = []
    for entry in manifest():
        if entry.get("raw") is False and "source_id" in entry.get("recipient", {}):
            for index, code in enumerate(entry["codes"]):
                person = entry["recipient"]["source_id"]
                name = f"{entry['file'][:2]}-{index}"
                found.append(pytest.param(entry["file"], index, code, person, id=name))
    return found


@pytest.mark.parametrize("name", ["triggered_email", "triggered_message"])
@pytest.mark.parametrize(("file", "index", "code", "person"), rewarded())
def test_every_sample_gives_its_person_its_code(
    file: str, index: int, code: str, person: str, name: str
) -> None:
    reward = voucherify.parse(sample(file)).rewards[index]
    sent = document(file, name, reward=reward)
    assert sent["recipientUserId"] == person
    assert sent["campaignId"] == 16504306
    assert sent["dataFields"]["couponCode"] == code
    assert sent["dataFields"]["bridgeId"] == BRIDGE_ID
    assert sent["dataFields"]["publicationId"] == reward.publication_id
    assert sent.get("metadata", {"bridgeId": BRIDGE_ID}) == {"bridgeId": BRIDGE_ID}
    assert ("metadata" in sent) is (name == "triggered_email")


def test_triggered_email_tells_of_code_discount_and_expiry() -> None:
    file = "01_project_voucher_published_discount.json"
    assert document(file, "triggered_email") == {
        "campaignId": 16504306,
        "recipientUserId": "crm-10482",
        "dataFields": {
            "couponCode": "WLCM-7Qx2Lp",
            "voucherType": "DISCOUNT_VOUCHER",
            "discount": {
                "type": "PERCENT",
                "percent_off": 10,
                "effect": "APPLY_TO_ORDER",
            },
            "gift": None,
            "expiresAt": "2099-09-30 21:59:59 +00:00",
            "rewardName": None,
            "campaign": "Welcome Codes",
            "customerName": "Ana Whitfield",
            "publicationId": "pub_Jf7khvX1WOjQcFyyO3xQWz46doEXlPEC",
            "bridgeId": BRIDGE_ID,
        },
        "metadata": {"bridgeId": BRIDGE_ID},
    }


def test_a_referral_shows_the_coupon_not_the_card_that_paid() -> None:
    file = "14_distribution_customer_rewarded_referral_coupon.json"
    body = send(sample(file), TEMPLATES, "triggered_email.json.j2").body
    assert b"THX-9vB30k" in body
    assert b"REF-an4a2" not in body


@pytest.mark.parametrize(
    ("file", "fact"),
    [
        ("08_project_customer_rewarded_loyalty_points.json", {"points": 900}),
        ("09_distribution_gift_balance_added.json", {"credits": "4.00"}),
        ("07_project_customer_rewarded_material.json", {"rewardName": "Free bottle"}),
    ],
)
def test_points_tells_of_points_credits_or_a_thing(
    file: str, fact: dict[str, Any]
) -> None:
    fields = document(file, "points")["dataFields"]
    known = ("points", "credits", "rewardName")
    assert {key: fields[key] for key in known if key in fields} == fact


def test_points_is_refused_where_there_is_nothing_to_tell() -> None:
    with pytest.raises(RenderError, match="reward has no `name`"):
        document("01_project_voucher_published_discount.json", "points")


def test_publication_lists_all_codes_in_one_message() -> None:
    file = "13_project_publication_succeeded_multi.json"
    whole = voucherify.whole_publication(voucherify.parse(sample(file)).rewards)
    fields = document(file, "publication", reward=whole)["dataFields"]
    assert fields["couponCodes"] == ["AUT-2mFp8", "AUT-w7Hq1"]
    assert [one["code"] for one in fields["vouchers"]] == fields["couponCodes"]


def test_publication_without_a_code_is_refused() -> None:
    with pytest.raises(RenderError, match="reward has no `code`"):
        document("07_project_customer_rewarded_material.json", "publication")


@pytest.mark.parametrize("name", ["points", "publication", "triggered_message"])
@pytest.mark.parametrize("endpoint", ["sms/target", "push/target", "email/target"])
def test_templates_for_any_medium_fit_each_endpoint(name: str, endpoint: str) -> None:
    file = "08_project_customer_rewarded_loyalty_points.json"
    sent = document(file, name, endpoint=endpoint)
    has_metadata = endpoint != "sms/target" and name != "triggered_message"
    assert ("metadata" in sent) is has_metadata


@pytest.mark.parametrize(
    ("file", "dropped"),
    [
        ("04_distribution_custom_payload_raw_off.json", 0),
        ("05_distribution_raw_on_iterable_trigger.json", 0),
        ("06_distribution_raw_on_with_ids.json", 1),
    ],
)
def test_passthrough_hands_raw_samples_on(file: str, dropped: int) -> None:
    sent = send(sample(file), TEMPLATES, "passthrough.json.j2", campaign_id=None)
    body = json.loads(sent.body)
    assert (body["campaignId"], body["recipientUserId"]) == (16504306, "crm-10482")
    assert body["dataFields"]["couponCode"] == "BACK-4hTq81Zm"
    assert "recipientEmail" not in body
    assert (sent.dropped, sent.names_campaign) == (dropped, True)


@pytest.mark.parametrize("path", sorted((ROOT / "templates").iterdir()), ids=str)
def test_every_shipped_template_is_in_the_manual(path: Path) -> None:
    assert f"| `{path.name}` |" in MANUAL


def blocks(label: str) -> list[str]:
    return re.findall(rf"^```{label}\n(.*?)^```$", MANUAL, re.DOTALL | re.MULTILINE)


def rows(text: str) -> list[list[str]]:
    """Read a table's rows below its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    return [[cell.strip().replace("\\|", "|") for cell in row] for row in cells[2:]]


CAPTURE = Capture(body=blocks("json capture")[0].encode())


def test_the_example_of_the_manual_is_what_the_bridge_does() -> None:
    templates, payloads = blocks("jinja template"), blocks("json payload")
    assert len(templates) == len(payloads) == 2
    for template, payload in zip(templates, payloads, strict=True):
        sent = send(CAPTURE, compiled(template), "t.json.j2")
        assert json.loads(sent.body) == json.loads(payload)


def expressions() -> list[Any]:
    """List the rows that say what an expression becomes."""
    pairs = [row for row in rows(MANUAL) if row[0].startswith("`{{")]
    return [pytest.param(*row, id=row[0]) for row in pairs]


@pytest.mark.parametrize(("expression", "becomes"), expressions())
def test_each_row_of_the_manual_is_true(expression: str, becomes: str) -> None:
    template = compiled(
        '{"campaignId": 1, "recipientUserId": "u", "dataFields": {"x": '
        + expression.strip("`")
        + "}}"
    )
    if becomes.startswith("error: "):
        reason = re.escape(becomes.removeprefix("error: "))
        with pytest.raises(RenderError, match=reason):
            send(CAPTURE, template, "t.json.j2")
    else:
        sent = json.loads(send(CAPTURE, template, "t.json.j2").body)
        assert sent["dataFields"]["x"] == json.loads(becomes.strip("`"))


def test_each_inline_result_of_the_manual_is_true() -> None:
    pairs = re.findall(r"`(\{\{[^`]*\}\})` is `([^`]*)`", MANUAL.replace("\\|", "|"))
    assert len(pairs) == 3
    for expression, becomes in pairs:
        template = compiled(
            f'{{"campaignId": 1, "recipientUserId": "u", "dataFields": {{"x": '
            f"{expression}}}}}"
        )
        sent = json.loads(send(CAPTURE, template, "t.json.j2").body)
        assert sent["dataFields"]["x"] == json.loads(becomes)


def test_the_manual_lists_every_name_as_the_program_does() -> None:
    table = MANUAL.split("<!-- names -->\n")[1].split("\n\n")[0]
    assert {name.strip("`"): what for name, what in rows(table)} == dict(CONTEXT)


def test_the_manual_lists_the_filters_of_our_own_and_those_left_out() -> None:
    table = MANUAL.split("<!-- filters -->\n")[1].split("\n\n")[0]
    ours = {name.strip("`") for name, _ in rows(table)}
    assert ours == {"optional", "iterable_date", "money", "passthrough", "tojson"}
    assert all(f"`{name}`" in MANUAL for name in LEFT_OUT)


def test_a_happy_render_costs_little() -> None:
    capture = sample("01_project_voucher_published_discount.json")
    parsed = voucherify.parse(capture)
    spent = []
    for _ in range(50):
        began = time.thread_time()
        TEMPLATES.render(
            route("triggered_email.json.j2"),
            endpoint="email/target",
            parsed=parsed,
            reward=parsed.rewards[0],
            recipient=SOMEBODY,
            delivery_id=BRIDGE_ID,
        )
        spent.append(time.thread_time() - began)
    # About 100 microseconds; the bound only notices something ten times as slow.
    assert min(spent) < 0.001
