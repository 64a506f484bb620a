"""What the program can be told, as frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal

from bridge.model import Limit

#: What a process is about to do; each role asks for its secrets.
Role = Literal["receive", "deliver", "reconcile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """How an unknown outcome is checked."""

    after: timedelta
    rate_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Iterable:
    """The destination."""

    base_url: str
    api_key: str = field(repr=False)
    #: Sends a second, all processes together.
    rate_per_second: float
    #: The whole call, connecting included.
    timeout: timedelta
    verify: Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Voucherify:
    """Where Voucherify's API is, and what opens it."""

    base_url: str
    #: Empty where `reconcile` cannot be used.
    app_id: str = field(repr=False, default="")
    app_token: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When an automatic next attempt ends."""

    max_age: timedelta
    #: Wait before a user Iterable does not know is tried once more; None for never.
    unknown_user_grace: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long what is over is kept; None for ever."""

    #: Until bodies, headers and payloads are blanked.
    blank_after: timedelta | None = None
    #: Until whole stories are removed.
    remove_after: timedelta | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether anything is ever blanked or removed."""
        return self.blank_after is not None or self.remove_after is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """Limits at the doors."""

    max_body_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a route asks of a reward; an empty tuple asks nothing."""

    raw: bool | None = None
    events: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    vouchers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A table from Voucherify's source id, or e-mail address, to Iterable's userId."""

    path: Path
    table: Mapping[str, str] = field(repr=False)


#: One way to name the recipient.
RecipientRule = Literal["source_id", "email"] | Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The configured way from a reward to an endpoint and a template."""

    name: str
    formerly: tuple[str, ...]
    when: Condition
    recipient: tuple[RecipientRule, ...]
    per: Literal["voucher", "publication"]
    endpoint: str
    #: None only where the body itself names the campaign.
    campaign_id: int | None
    template: str
    in_doubt: Literal["verify", "resend", "hold"]
    #: A voucher that expires sooner is not told of any more.
    not_within: timedelta = timedelta(0)
    #: At most so many rewards a person; None for no limit.
    per_customer: Limit | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the earlier ones."""
        return (self.name, *self.formerly)


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """How the program talks."""

    level: str
    format: Literal["json", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """When to tell people, and where."""

    #: Takes JSON as Slack does; empty for nowhere.
    url: str = field(repr=False, default="")
    #: More held deliveries than this are worth an alert.
    held: int
    #: More than this that died within 24 hours.
    dead: int
    #: A delivery that has been due for longer, though no gate holds it.
    oldest_due: timedelta
    #: So many answers to webhooks in a row that were not 2xx.
    upstream_failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Who may see the page of metrics."""

    #: Demanded of everybody; empty for none.
    token: str = field(repr=False, default="")
    #: Whether anybody may see it where there is no token.
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What proves a sender; several of a kind while one replaces another."""

    voucherify: tuple[str, ...] = field(repr=False, default=())
    inbound: tuple[str, ...] = field(repr=False, default=())
    iterable: tuple[str, ...] = field(repr=False, default=())
    #: Opens the console; empty for none, and then there is no console.
    console: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything the program was told, checked."""

    path: Path
    iterable: Iterable
    voucherify: Voucherify
    retry: Retry
    receive: Receive
    retention: Retention
    routes: tuple[Route, ...]
    templates: Path
    database_url: str = field(repr=False)
    secrets: Secrets
    port: int
    #: How many proxies stand before the program: their word is taken, nobody else's.
    proxies: int
    processes: int
    log: Log
    metrics: Metrics
    alerts: Alerts

    def route(self, name: str) -> Route | None:
        """Find a route by its name or an earlier one."""
        return next((route for route in self.routes if name in route.names), None)
