"""A Voucherify source to test with, and short ways to what it reads."""

from datetime import timedelta
from typing import Any

from bridge.config import SourceConfig
from bridge.integrations.voucherify.source import VoucherifySource
from bridge.model import Capture, Message, ParsedWebhook

SOURCE = VoucherifySource(SourceConfig(name="voucherify", kind="voucherify"))


def parse(capture: Capture) -> ParsedWebhook:
    """Read a webhook."""
    return SOURCE.parse(capture)


def keys_of(message: Message) -> tuple[tuple[str, timedelta], ...]:
    """List every key that a delivery of a message takes."""
    return ((message.key, message.key_ttl), *message.alias_keys)


def facts_of(message: Message) -> dict[str, Any]:
    """Return what a template knows of a reward beside its codes and ids."""
    usual = ("key", "code", "codes", "published", "publication_id")
    reward = message.data["reward"]
    return {name: one for name, one in reward.items() if name not in usual}
