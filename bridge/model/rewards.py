"""A webhook as received and as read: the rewards it tells of, and for whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal, NewType

SourceId = NewType("SourceId", str)
UserId = NewType("UserId", str)

#: A value as JSON has it. `Any`, because it enters here and is parsed at once.
Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One webhook as received: the raw body, and what was worth keeping beside it."""

    body: bytes
    #: Lower-case names, allow-listed: never a secret.
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Endpoint named by the drop-in door (`email/target`), else None.
    door: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """One thing to tell one person."""

    #: Business key (`pub:pub_…:v_…`), the same whichever event tells of the reward.
    key: str
    #: How long the business key is remembered.
    keep: timedelta
    #: Further keys of the same fact: each voucher of a whole publication.
    also: tuple[str, ...] = ()
    #: Voucherify's customer id (`cust_…`), where one was sent.
    customer_id: str | None
    #: The customer's source id as sent: a string, or a number; placeholders and
    #: empty texts are already None.
    source_id: Json = None
    email: Json = None
    #: What the person gets, in the vendor's form; never the card that paid.
    vouchers: tuple[Mapping[str, Json], ...] = ()
    #: False where the voucher is not new to the person but what the reward is about:
    #: the card that got points. Its code then marks no repeat.
    is_handed_over: bool = True
    #: Codes to show, in order; a raw body has codes without vouchers.
    codes: tuple[str, ...] = ()
    #: Campaign of the event (an object, or empty).
    campaign: Mapping[str, Json] = field(default_factory=dict)
    #: Iterable's own keys, where the operator wrote them (`data` or the root).
    raw: Mapping[str, Json] | None = None
    publication_id: str | None = None
    #: How many vouchers the publication has, which may exceed those shown.
    published: int = 0
    #: Values for templates beside those above: `points`, `amount`, `name`, `type`.
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A webhook read: what it is and which rewards it tells of."""

    #: Stops repeats: `whs_…`, else SHA-256 of door and stripped body.
    transport_key: str
    #: True where the key is a hash, which recognises repeats for 25 hours only.
    is_hashed: bool
    kind: Literal["project", "distribution", "raw", "unknown"]
    event_type: str | None
    rewards: tuple[Reward, ...]
    #: The whole document, for templates; None where the body is not JSON.
    document: Json
    #: Why nothing of it can be used, in plain words; None for a usable one.
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Whom Iterable shall write to; exactly one of the two is set."""

    user_id: UserId | None = None
    email: str | None = None

    @property
    def name(self) -> str:
        """The one that is set, for the ledger."""
        return self.user_id or self.email or ""
