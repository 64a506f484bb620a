"""Rendering a template text against one reward, for the tests of `bridge.rendering`."""

import json
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.config import Condition, Route
from bridge.model import Json, Parsed, Recipient, Reward, UserId
from bridge.rendering import Payload, Templates

BRIDGE_ID = "0198c1d2-0000-7000-8000-000000000001"
CUSTOMER: dict[str, Json] = {
    "id": "cust_1",
    "name": "Ana Whitfield",
    "email": "ana.whitfield@shop.example",
    "source_id": "crm-10482",
    "metadata": {"tier": "gold", "nick": None},
}
VOUCHER: dict[str, Json] = {
    "id": "v_1",
    "code": "WLCM-7Qx2Lp",
    "type": "DISCOUNT_VOUCHER",
    "discount": {"type": "AMOUNT", "amount_off": 1500},
    "expiration_date": "2099-09-30T21:59:59.000Z",
    "category_id": None,
}
SOMEBODY = Recipient(user_id=UserId("crm-10482"))


def route(
    template: str = "t.json.j2",
    *,
    endpoint: str = "email/target",
    campaign_id: int | None = 16504306,
) -> Route:
    return Route(
        name="welcome",
        formerly=(),
        when=Condition(),
        recipient=("source_id",),
        per="voucher",
        endpoint=endpoint,
        campaign_id=campaign_id,
        template=template,
        in_doubt="verify",
    )


def reward(**changes: Any) -> Reward:
    values: dict[str, Any] = {
        "key": "pub:pub_1:v_1",
        "keep": timedelta(days=30),
        "customer_id": "cust_1",
        "vouchers": (VOUCHER,),
        "codes": ("WLCM-7Qx2Lp",),
        "campaign": {"id": "camp_1", "name": "Welcome Codes"},
        "publication_id": "pub_1",
        "published": 1,
    }
    return Reward(**(values | changes))


def parsed(data: Mapping[str, Json], *, kind: Any = "project") -> Parsed:
    document: Json = data
    if kind != "raw":
        document = {
            "id": "whs_1",
            "created_at": "2026-08-20T09:15:11.880Z",
            "data": data,
            "source": {"id": "wh_1", "object": "webhook"},
            "event": {"id": "evvou_1", "type": "voucher.published"},
        }
    return Parsed(
        transport_key="whs_1",
        is_hashed=False,
        kind=kind,
        event_type="voucher.published",
        rewards=(),
        document=document,
    )


def compiled(source: str) -> Templates:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.json.j2").write_text(source, encoding="utf-8")
        return Templates(Path(folder), ["t.json.j2"])


def run(
    templates: Templates,
    *,
    customer: Mapping[str, Json] = CUSTOMER,
    raw: Mapping[str, Json] | None = None,
    recipient: Recipient = SOMEBODY,
    endpoint: str = "email/target",
    campaign_id: int | None = 16504306,
    **changes: Any,
) -> Payload:
    """Render a compiled template against a reward."""
    return templates.render(
        route(campaign_id=campaign_id),
        endpoint=endpoint,
        parsed=parsed(raw, kind="raw")
        if raw is not None
        else parsed({"customer": customer}),
        reward=reward(raw=raw, **changes),
        recipient=recipient,
        delivery_id=BRIDGE_ID,
    )


def render(source: str, **changes: Any) -> Payload:
    """Render a whole payload template."""
    return run(compiled(source), **changes)


def payload(source: str, **changes: Any) -> Any:
    """Render a whole payload template and read the JSON that would be sent."""
    return json.loads(render(source, **changes).body)


def fields(members: str, *, before: str = "", **changes: Any) -> Any:
    """Render what stands inside `dataFields`, after some statements."""
    source = f'{before}{{"campaignId": 1, "recipientUserId": "u", "dataFields": {{ '
    return payload(f"{source}{members}}}}}", **changes)["dataFields"]


def value(expression: str, *, before: str = "", **changes: Any) -> Any:
    """Render one expression and read what it became."""
    members = '"x": {{ ' + expression + " }}"
    return fields(members, before=before, **changes)["x"]
