"""Every captured webhook of `samples/voucherify`, and the payload that must arrive."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.product.program import SAMPLES, TEMPLATES, Program, installed

ROUTES = [
    {"name": "raw", "match": {"raw": True}, "template": "passthrough.json.j2"},
    {
        "name": "points",
        "match": {"events": ["customer.rewarded.loyalty_points", "*.balance_added"]},
        "campaign_id": 16504307,
        "template": "points.json.j2",
    },
    {
        "name": "things",
        "match": {"vouchers": ["NONE"], "events": ["customer.rewarded"]},
        "campaign_id": 16504309,
        "template": "points.json.j2",
    },
    {
        "name": "autumn-set",
        "match": {"campaigns": ["Autumn Mailing*"], "vouchers": ["DISCOUNT_VOUCHER"]},
        "group_by": "publication",
        "campaign_id": 16504308,
        "template": "publication.json.j2",
    },
    {
        "name": "rewards",
        "match": {"vouchers": ["DISCOUNT_VOUCHER", "GIFT_VOUCHER", "LOYALTY_CARD"]},
        "campaign_id": 16504306,
        "template": "triggered_email.json.j2",
    },
]
#: Whom each webhook is for, through which campaign, and what the mail must show.
EXPECTED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "01": (
        "crm-10482",
        16504306,
        {
            "couponCode": "WLCM-7Qx2Lp",
            "campaign": "Welcome Codes",
            "customerName": "Ana Whitfield",
            "expiresAt": "2099-09-30 21:59:59 +00:00",
            "publicationId": "pub_Jf7khvX1WOjQcFyyO3xQWz46doEXlPEC",
        },
    ),
    "02": ("crm-20917", 16504308, {"couponCodes": ["AUT-k9Zt3"]}),
    "03": (
        "crm-10482",
        16504306,
        {
            "couponCode": "BACK-4hTq81Zm",
            "campaign": "Win-back 20",
            "discount": {
                "type": "PERCENT",
                "amount_limit": 3000,
                "percent_off": 20,
                "effect": "APPLY_TO_ORDER",
            },
            "expiresAt": None,
        },
    ),
    "04": (
        "crm-10482",
        16504306,
        {"couponCode": "BACK-4hTq81Zm", "greeting": "Hello Ana Whitfield"},
    ),
    "05": ("crm-10482", 16504306, {"couponCode": "BACK-4hTq81Zm"}),
    "06": (
        "crm-10482",
        16504306,
        {
            "couponCode": "BACK-4hTq81Zm",
            "campaignName": "Win-back 20",
            "percentOff": 20,
        },
    ),
    "07": (
        "crm-20917",
        16504309,
        {"rewardName": "Free bottle", "campaign": "Perks Club"},
    ),
    "08": ("crm-10482", 16504307, {"points": 900, "campaign": "Perks Club"}),
    "09": ("crm-20917", 16504307, {"credits": "4.00", "campaign": "Gift Cards EUR"}),
    "10": (
        "crm-20917",
        16504306,
        {"couponCode": "PRK-02Lm54", "voucherType": "LOYALTY_CARD"},
    ),
    "11": (
        "crm-20917",
        16504306,
        {"couponCode": "tKSTdVk2", "rewardName": "15% coupon"},
    ),
    "12": ("crm-10482", 16504306, {"couponCode": "WLCM-p0Rs8d"}),
    "13": (
        "crm-10482",
        16504308,
        {"couponCode": "AUT-2mFp8", "couponCodes": ["AUT-2mFp8", "AUT-w7Hq1"]},
    ),
    # Not the referral code that earned it.
    "14": (
        "crm-10482",
        16504306,
        {"couponCode": "THX-9vB30k", "rewardName": "15% for the referrer"},
    ),
    "15": (
        "crm-10482",
        16504306,
        {
            "couponCode": "GIFT-Zq81mm2R",
            "gift": {"amount": 5000, "balance": 5000, "effect": "APPLY_TO_ORDER"},
        },
    ),
    "16": ("crm-20917", 16504306, {"couponCode": "REF-an4a2"}),
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder = tmp_path_factory.mktemp("samples")
    with installed(folder, routes=ROUTES, templates=str(TEMPLATES)) as program:
        program.start()
        yield program


@pytest.fixture(scope="module")
def payloads(running: Program) -> dict[str, Any]:
    """Post every sample, one after the other: what arrived for each, by its number."""
    found = {}
    for number, path in enumerate(sorted(SAMPLES.glob("[0-9]*.json"))):
        running.accept(json.loads(path.read_text(encoding="utf-8")))
        messages = running.iterable.counted(number + 1)
        found[path.name[:2]] = messages[number]
    return found


@pytest.mark.parametrize("number", EXPECTED)
def test_a_sample_becomes_the_payload_its_customer_must_get(
    payloads: dict[str, Any], number: str
) -> None:
    person, campaign, fields = EXPECTED[number]
    message = payloads[number]
    assert message.path == "/api/email/target"
    assert (message.person, message.body["campaignId"]) == (person, campaign)
    assert {name: message.fields.get(name) for name in fields} == fields


def test_no_sample_is_left_out(payloads: dict[str, Any]) -> None:
    assert payloads.keys() == EXPECTED.keys()


def test_a_message_names_its_delivery_for_the_receipts_to_come(
    running: Program, payloads: dict[str, Any]
) -> None:
    ids = {row["id"] for row in running.deliveries()}
    assert payloads["01"].fields["bridgeId"] in ids
    assert payloads["01"].body["metadata"] == {
        "bridgeId": payloads["01"].fields["bridgeId"]
    }


def test_every_sample_posted_again_sends_nothing(
    running: Program, payloads: dict[str, Any]
) -> None:
    for path in sorted(SAMPLES.glob("[0-9]*.json")):
        running.accept(json.loads(path.read_text(encoding="utf-8")), "duplicate")
    assert running.statuses() == ["accepted"] * len(payloads)
    assert len(running.iterable.messages()) == len(payloads)
