"""Iterable: destination of messages, sender of receipts, local sandbox.

Its own request bodies, posted to us instead, are in `compat`.
"""

from collections.abc import Mapping
from typing import Any

from bridge.config import SecretSpec, SectionSpec
from bridge.config.schema import Schema, fields, validate
from bridge.integrations import Integration, Sandbox, SandboxReceipts
from bridge.integrations.iterable.compat import TARGETS
from bridge.integrations.iterable.destination import IterableDestination
from bridge.integrations.iterable.receipts import IterableReceipts
from bridge.integrations.iterable.sent_messages import UNLISTED

_HOSTS = {"us": "https://api.iterable.com", "eu": "https://api.eu.iterable.com"}


class _DestinationSchema(Schema):
    """Settings of an Iterable destination beside the common ones."""

    #: Where the project lives; no default, as a wrong one is another customer's host.
    data_center = fields.String(
        load_default=None, validate=validate.OneOf(list(_HOSTS))
    )


def _base_url(options: Mapping[str, Any]) -> str:
    return _HOSTS.get(options.get("data_center") or "", "")


def _make_sandbox(receipts: SandboxReceipts | None) -> Sandbox:
    # Flask is loaded only where a sandbox runs.
    from bridge.integrations.iterable.sandbox import IterableSandbox  # noqa: PLC0415

    return IterableSandbox(receipts)


INTEGRATION = Integration(
    kind="iterable",
    title="Iterable",
    destination_spec=SectionSpec(
        schema=_DestinationSchema,
        secrets=(
            SecretSpec(
                name="api_key",
                variable="ITERABLE_API_KEY",
                purpose="a server-side API key of the Iterable project",
                required_for=("deliver",),
            ),
            SecretSpec(
                name="webhook_secret",
                variable="ITERABLE_WEBHOOK_SECRET",
                purpose="what Iterable's system webhooks send in Authorization; "
                "if unset, receipts are rejected and nothing is ever confirmed",
                is_list=True,
            ),
        ),
        base_url=_base_url,
        missing_base_url=(
            "data_center",
            f"is needed: {', '.join(_HOSTS)} (there is no default)",
        ),
        base_url_variable="ITERABLE_BASE_URL",
        endpoints=TARGETS,
        campaign_endpoints=TARGETS,
        verifiable_endpoints=tuple(one for one in TARGETS if one not in UNLISTED),
    ),
    make_destination=IterableDestination,
    make_receipts=IterableReceipts,
    make_sandbox=_make_sandbox,
)
