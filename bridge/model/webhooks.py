"""A webhook as received and as read: the messages it asks for, and for whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NewType

#: A customer's id at the source (Voucherify's `source_id`).
SourceId = NewType("SourceId", str)
#: A customer's id at the destination (Iterable's `userId`).
UserId = NewType("UserId", str)

#: A value as JSON has it. `Any`, because it enters here and is parsed at once.
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One webhook as received: the raw body, and what is worth keeping beside it."""

    #: Exactly the bytes received.
    body: bytes
    #: Lower-case names, allow-listed by the source: never a secret.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Name of the configured source that verified and parses it.
    source: str = "voucherify"
    #: The destination endpoint a compatible endpoint replaces (`email/target`), or
    #: None: the route decides.
    endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """The person a message is for, as the source names them."""

    #: The source's own id (`cust_…`); None where the webhook has none.
    id: str | None = None
    #: As sent: a string or a number; None for placeholders and empty texts.
    source_id: Json = field(default=None, repr=False)
    email: Json = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Messages that a route may merge into one: the vouchers of one publication."""

    id: str
    #: How many messages the whole group has, which may exceed those in this webhook.
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One thing to tell one destination about one person.

    Voucherify's source makes *rewards*; other sources make profiles and events.
    """

    #: Business key (`pub:pub_…:v_…`), the same whichever event brings the message.
    key: str
    #: How long the business key is remembered.
    key_ttl: timedelta
    #: Further keys of the same fact, with their time to live: each voucher of a merged
    #: publication (`key_ttl`), the code of a handed-over voucher (25 hours).
    alias_keys: tuple[tuple[str, timedelta], ...] = ()
    customer: Customer
    #: Codes to show, in order.
    codes: tuple[str, ...] = field(default=(), repr=False)
    #: Campaign names and ids that `match.campaigns` is compared with; the first is
    #: shown in the ledger.
    campaigns: tuple[str, ...] = ()
    #: What `match.vouchers` is compared with: voucher types, `NONE` without a code.
    voucher_types: tuple[str, ...] = ()
    #: When the first of its vouchers expires, UTC.
    expires_at: datetime | None = None
    #: Set where the body is already in the destination's own form.
    raw: Mapping[str, Json] | None = field(default=None, repr=False)
    #: Set where it is part of a group.
    group: Group | None = None
    #: The names a template has beside `recipient`, `route`, `event`, `body` and
    #: `bridge_id`, as plain JSON values: `reward`, `customer`, `voucher`, ….
    data: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedWebhook:
    """A webhook read: what it is and which messages it asks for."""

    #: Stops repeats: the sender's id (`whs_…`), else a hash of endpoint and body.
    transport_key: str
    #: True where the key is a hash, which recognises repeats for 25 hours only.
    is_hashed: bool
    #: `project`, `distribution`, `raw`, `unknown`, or another word of the source.
    kind: str
    event_type: str | None
    messages: tuple[Message, ...] = ()
    #: The whole document; None where the body is not JSON.
    document: Json = field(default=None, repr=False)
    #: `id`, `type`, `created_at` of the event, for templates; only what is there.
    event: Mapping[str, Json] = field(default_factory=dict)
    #: Why nothing of it can be used, in plain words; None for a usable one.
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """The person a destination writes to; exactly one of the two is set."""

    user_id: UserId | None = None
    email: str | None = None

    @property
    def name(self) -> str:
        """The one that is set, for the ledger."""
        return self.user_id or self.email or ""
