"""Voucherify: source of rewards, and its API (read by `reconcile`).

References:
    Voucherify's documentation, "Introduction to webhooks".
"""

from collections.abc import Mapping
from typing import Any

from bridge.config import SecretSpec, SectionSpec
from bridge.config.schema import Schema, fields, validate
from bridge.integrations import Integration
from bridge.integrations.voucherify.events import EVENT_TYPES
from bridge.integrations.voucherify.messages import CONTEXT, CONTEXT_FIELDS
from bridge.integrations.voucherify.source import VoucherifySource

_HOSTS = {
    "eu": "https://api.voucherify.io",
    "us": "https://us1.api.voucherify.io",
    "as": "https://as1.api.voucherify.io",
    # As Voucherify's own pages name them.
    "eu1": "https://api.voucherify.io",
    "us1": "https://us1.api.voucherify.io",
    "as1": "https://as1.api.voucherify.io",
}


class _Schema(Schema):
    """Settings of a Voucherify section beside the common ones."""

    #: Where the project is. The bridge only reads there, so it has a default.
    region = fields.String(load_default="eu", validate=validate.OneOf(list(_HOSTS)))


def _base_url(options: Mapping[str, Any]) -> str:
    return _HOSTS[options.get("region") or "eu"]


_API_SECRETS = (
    SecretSpec(
        name="app_id",
        variable="VOUCHERIFY_APP_ID",
        purpose="the application id of a Voucherify API key",
        required_for=("ask",),
    ),
    SecretSpec(
        name="app_token",
        variable="VOUCHERIFY_APP_TOKEN",
        purpose="the secret key that belongs to VOUCHERIFY_APP_ID",
        required_for=("ask",),
    ),
)

INTEGRATION = Integration(
    kind="voucherify",
    title="Voucherify",
    source_spec=SectionSpec(
        schema=_Schema,
        secrets=(
            SecretSpec(
                name="secret",
                variable="VOUCHERIFY_WEBHOOK_SECRET",
                purpose="the secret that Voucherify signs webhooks with "
                "(Project settings > Webhooks)",
                required_for=("receive",),
                is_list=True,
            ),
            *_API_SECRETS,
        ),
        base_url=_base_url,
        base_url_variable="VOUCHERIFY_BASE_URL",
    ),
    make_source=VoucherifySource,
    destination_spec=SectionSpec(
        schema=_Schema,
        secrets=_API_SECRETS,
        base_url=_base_url,
        base_url_variable="VOUCHERIFY_BASE_URL",
        # The Business plan's 100 calls a minute.
        default_rate_per_second=100 / 60,
    ),
    context=CONTEXT,
    context_fields=CONTEXT_FIELDS,
    known_events=EVENT_TYPES,
)
