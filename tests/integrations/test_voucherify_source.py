"""Endpoints of a Voucherify source, and how they authenticate."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.config import SourceConfig
from bridge.errors import SignatureError
from bridge.integrations import InboundEndpoint, Request
from bridge.integrations.voucherify.signature import sign
from bridge.integrations.voucherify.source import VoucherifySource
from bridge.model import Customer, Group, Message

BODY = b'{"a":1}'
SIGNED = {"x-voucherify-signature": sign(BODY, "new")}
OWN, TARGET = "/webhooks/voucherify", "/api/email/target"


def endpoint(path: str, *secrets: str, keys: tuple[str, ...] = ()) -> InboundEndpoint:
    config = SourceConfig(
        name="voucherify", kind="voucherify", secrets={"secret": secrets}
    )
    found = VoucherifySource(config).endpoints(keys)
    return next(one for one in found if one.path == path)


def call(one: InboundEndpoint, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    one.verify(Request(path=one.path, body=BODY, headers=named))


def reason(one: InboundEndpoint, **headers: str) -> str:
    with pytest.raises(SignatureError) as caught:
        call(one, **headers)
    return caught.value.reason


def test_it_receives_at_its_own_address_and_at_iterables() -> None:
    config = SourceConfig(name="shop-eu", kind="voucherify")
    found = VoucherifySource(config).endpoints(())
    assert {one.path: one.endpoint for one in found} == {
        "/webhooks/shop-eu": None,
        "/api/email/target": "email/target",
        "/api/sms/target": "sms/target",
        "/api/push/target": "push/target",
        "/api/inApp/target": "inApp/target",
        "/api/webPush/target": "webPush/target",
        "/api/whatsApp/target": "whatsApp/target",
        "/api/campaigns/trigger": "campaigns/trigger",
    }
    assert all("api-key" not in one.kept_headers for one in found)


@pytest.mark.parametrize("path", [OWN, TARGET])
def test_any_of_several_secrets_authenticates(path: str) -> None:
    call(endpoint(path, "old", "new"), **SIGNED)


def test_with_a_secret_the_own_address_accepts_no_key() -> None:
    said = reason(endpoint(OWN, "s", keys=("key",)), api_key="key")
    assert said.startswith("the signature header is missing")
    assert "Api-Key" not in said


def test_without_a_secret_the_own_address_accepts_a_key() -> None:
    call(endpoint(OWN, keys=("key",)), api_key="key")
    assert "Api-Key is missing" in reason(endpoint(OWN, keys=("key",)))


@pytest.mark.parametrize("given", ["old-key", "", "\xff\xfe"])
def test_an_unknown_key_is_named_with_the_way_out(given: str) -> None:
    said = reason(endpoint(TARGET, "s", keys=("key",)), api_key=given)
    assert said.startswith("the key in Api-Key is not one of those known here")
    assert "BRIDGE_INBOUND_TOKEN" in said


def test_a_body_is_signed_as_voucherify_signs_it() -> None:
    config = SourceConfig(name="v", kind="voucherify", secrets={"secret": ("a", "new")})
    made = VoucherifySource(config).sign(
        b'{ "a": 1 }', datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert made == SIGNED


MONTH, DAY = timedelta(days=30), timedelta(hours=25)


def message(number: int, **changes: Any) -> Message:
    values: dict[str, Any] = {
        "key": f"pub:pub_1:v_{number}",
        "key_ttl": MONTH,
        "alias_keys": ((f"code:v_{number}:cust_1", DAY),),
        "customer": Customer(id="cust_1"),
        "codes": (f"C-{number}",),
        "expires_at": datetime(2026, 1, number, tzinfo=UTC),
        "group": Group(id="pub_1", size=2),
        "data": {
            "reward": {"key": "", "code": f"C-{number}", "points": 5},
            "voucher": {"id": f"v_{number}"},
            "vouchers": [{"id": f"v_{number}"}],
        },
    }
    return Message(**(values | changes))


SOURCE = VoucherifySource(SourceConfig(name="voucherify", kind="voucherify"))


def test_a_merged_publication_takes_every_key_and_shows_every_code() -> None:
    whole = SOURCE.merge([message(2), message(1)])
    assert whole.key == "pub:pub_1:*"
    assert whole.alias_keys == (
        ("pub:pub_1:v_2", MONTH),
        ("pub:pub_1:v_1", MONTH),
        ("code:v_2:cust_1", DAY),
        ("code:v_1:cust_1", DAY),
    )
    assert whole.codes == ("C-2", "C-1")
    assert whole.expires_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert whole.data == {
        "reward": {
            "key": "pub:pub_1:*",
            "code": "C-2",
            "codes": ["C-2", "C-1"],
            "published": 2,
            "publication_id": "pub_1",
            "points": 5,
        },
        "voucher": {"id": "v_2"},
        "vouchers": [{"id": "v_2"}, {"id": "v_1"}],
    }
