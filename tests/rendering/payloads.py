"""Rendering a template text against one message, for tests."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bridge.config import Match, Route
from bridge.model import Customer, Json, Message, ParsedWebhook, Recipient, UserId
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
}
REWARD: dict[str, Json] = {"key": "k", "code": "WLCM-7Qx2Lp", "codes": ["WLCM-7Qx2Lp"]}
SOMEBODY = Recipient(user_id=UserId("crm-10482"))


@dataclass(frozen=True)
class Judged:
    document: Mapping[str, Json]
    dropped: int = 0
    names_campaign: bool = False


class Mailer:
    """A destination that takes `to` and `fields`, and no other key."""

    def check_payload(
        self, route: Route, endpoint: str, document: Json, recipient: Recipient
    ) -> Judged:
        for key in document:
            if key not in ("to", "fields"):
                raise ValueError(f"`{key}` is no key of {endpoint}")
        if "to" not in document:
            raise ValueError("`to` is missing")
        dropped = 3 if route.match.raw and recipient.user_id else 0
        return Judged(document, dropped=dropped)


def route(template: str = "t.json.j2", **changes: Any) -> Route:
    plain: dict[str, Any] = {
        "name": "welcome",
        "source": "voucherify",
        "match": Match(),
        "recipient": ("source_id",),
        "destination": "iterable",
        "endpoint": "email/target",
        "campaign_id": 16504306,
        "template": template,
    }
    return Route(**{**plain, **changes})


def message(customer: Mapping[str, Json] = CUSTOMER, **changes: Any) -> Message:
    plain: dict[str, Any] = {
        "key": "pub:pub_1:v_1",
        "key_ttl": timedelta(days=30),
        "customer": Customer(id="cust_1", source_id="crm-10482"),
        "data": {
            "reward": REWARD,
            "customer": customer,
            "voucher": VOUCHER,
            "vouchers": [VOUCHER],
            "campaign": {"name": "Welcome Codes"},
            "publication": {},
        },
    }
    return Message(**{**plain, **changes})


def parsed(document: Json = None) -> ParsedWebhook:
    return ParsedWebhook(
        transport_key="whs_1",
        is_hashed=False,
        kind="project",
        event_type="voucher.published",
        document=document,
        event={"type": "voucher.published"},
    )


def compiled(source: str) -> Templates:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.json.j2").write_text(source, encoding="utf-8")
        return Templates(Path(folder), ["t.json.j2"])


def run(templates: Templates, *, of: Route | None = None, **changes: Any) -> Payload:
    """Render a compiled template against a message."""
    return templates.render(
        of or route(),
        endpoint="email/target",
        parsed=parsed(),
        message=message(**changes),
        recipient=SOMEBODY,
        delivery_id=BRIDGE_ID,
        destination=Mailer(),
    )


def render(source: str, **changes: Any) -> Payload:
    return run(compiled(source), **changes)


def fields(members: str, *, before: str = "", **changes: Any) -> Any:
    """Render what is inside `fields`, after some statements."""
    body = render(f'{before}{{"to": "u", "fields": {{ {members}}}}}', **changes).body
    return json.loads(body)["fields"]


def value(expression: str, *, before: str = "", **changes: Any) -> Any:
    """Render one expression and read what it became."""
    return fields('"x": {{ ' + expression + " }}", before=before, **changes)["x"]
