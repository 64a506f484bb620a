"""The configuration as frozen values, and what a vendor declares of its sections.

Reads nothing itself. A vendor's folder gives one `SectionSpec` for each role it plays
(source, destination); `bridge.config.sections` reads the sections and secrets by it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from bridge.model import CustomerLimit

if TYPE_CHECKING:
    from marshmallow import Schema

#: What a process is about to do; each role needs its own secrets.
Role = Literal["receive", "deliver", "ask"]
OnUnknownOutcome = Literal["verify", "resend", "hold"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSpec:
    """One secret of a section: which setting names its variable, and the default."""

    #: Key in `secrets`, and the setting that may name another variable.
    name: str
    #: Environment variable of the section that is named after its kind; other sections
    #: must name their own.
    variable: str
    #: One sentence for `check`, README and errors.
    purpose: str
    #: Roles that cannot start without it.
    required_for: tuple[Role, ...] = ()
    #: Whether a comma-separated list is accepted (while rotating).
    is_list: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionSpec:
    """The settings of one role of a vendor."""

    #: Fields of the section beside the common ones (`kind`; for destinations also
    #: `base_url`, `timeout`, `rate_per_second`, `verify`).
    schema: "type[Schema]"
    secrets: tuple[SecretSpec, ...] = ()
    #: Makes the base URL from the loaded options (a region or data center); "" where
    #: they do not say.
    base_url: Callable[[Mapping[str, Any]], str] | None = None
    #: The setting that says the base URL, and the problem where nothing does.
    missing_base_url: tuple[str, str] = ("base_url", "is needed")
    #: Variable that overrides the base URL of the section named after its kind.
    base_url_variable: str | None = None
    default_rate_per_second: float = 50.0
    #: Endpoints a route may name, the default first (destinations only).
    endpoints: tuple[str, ...] = ()
    #: Endpoints whose routes need a `campaign_id` (unless `match: {raw: true}`).
    campaign_endpoints: tuple[str, ...] = ()
    #: Endpoints whose unknown outcomes can be checked (`on_unknown_outcome: verify`).
    verifiable_endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """How an unknown outcome is checked at the destination."""

    after: timedelta
    rate_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One configured source of webhooks, or what a destination shares with one."""

    name: str
    #: Name of the vendor folder in `bridge.integrations` (`voucherify`).
    kind: str
    #: By the names the vendor declares (`secret`); several values while one replaces
    #: another, empty where none is set.
    secrets: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    #: The environment variable of each secret, for messages.
    variables: Mapping[str, str] = field(default_factory=dict)
    #: Further settings of the section, checked by the vendor's schema.
    options: Mapping[str, Any] = field(default_factory=dict)
    #: Where the vendor's API is, without a trailing slash; "" for a source that only
    #: receives.
    base_url: str = ""

    def secret(self, name: str) -> str:
        """Return the first value of a secret, "" where none is set."""
        return next(iter(self.secrets.get(name, ())), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationConfig(SourceConfig):
    """One configured destination; its `base_url` is https unless loopback."""

    #: The whole call, name look-up and connecting included.
    timeout: timedelta
    #: Sends a second, all processes together.
    rate_per_second: float
    verify: Verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a route asks of a message; an empty tuple asks nothing."""

    raw: bool | None = None
    events: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    vouchers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A table from the source's customer id, or e-mail address, to a user id."""

    path: Path
    #: By `lookup_key`.
    table: Mapping[str, str] = field(repr=False)

    def find(self, name: str) -> str | None:
        """Find the user id of a customer id or e-mail address."""
        return self.table.get(lookup_key(name))


def lookup_key(name: str) -> str:
    """Write a name as look-up tables have it: addresses are compared without case."""
    name = name.strip()
    return name.casefold() if "@" in name else name


#: One way to name the recipient. `source_id_as_email` (`{email: source_id}` in the
#: file) is for projects whose customer ids are e-mail addresses.
RecipientRule = Literal["source_id", "email", "source_id_as_email"] | Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The configured way from a message to an endpoint of a destination."""

    name: str
    previous_names: tuple[str, ...] = ()
    #: Name of a configured source.
    source: str
    match: Match
    recipient: tuple[RecipientRule, ...]
    group_by: Literal["voucher", "publication"] = "voucher"
    #: Name of a configured destination.
    destination: str
    endpoint: str
    #: None where the destination needs none, or the body itself names it.
    campaign_id: int | None = None
    template: str
    on_unknown_outcome: OnUnknownOutcome = "verify"
    #: A voucher that expires sooner is not sent any more.
    min_validity: timedelta = timedelta(0)
    limit_per_customer: CustomerLimit | None = None
    #: Raw bodies only: the fields that have the code, in order; empty: found by name.
    code_fields: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the earlier ones."""
        return (self.name, *self.previous_names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """When automatic attempts end."""

    max_age: timedelta
    #: Wait before a user the destination does not know is tried once more; None: never.
    retry_unknown_user_after: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long finished events are kept; None for ever."""

    #: Until bodies, headers and payloads are emptied.
    redact_after: timedelta | None = None
    #: Until events and their deliveries are deleted.
    delete_after: timedelta | None = None

    @property
    def is_on(self) -> bool:
        """Tell whether anything is ever redacted or deleted."""
        return self.redact_after is not None or self.delete_after is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """How the program logs."""

    level: str
    format: Literal["json", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """When people are alerted, and where."""

    #: Accepts JSON as Slack's incoming webhooks do; empty for no alerts.
    url: str = field(repr=False, default="")
    #: Alert above so many held deliveries.
    held: int
    #: Alert above so many deliveries that died within 24 hours.
    dead: int
    #: Alert when a delivery that no circuit breaker holds has been due for longer.
    max_queue_age: timedelta
    #: Alert after so many webhook answers in a row that were not 2xx.
    consecutive_webhook_failures: int
    #: Alert above so many parked events.
    parked: int
    #: Alert when so many more events than the day before matched no route within 24
    #: hours. At most 100,000 a day are counted, parked ones likewise.
    ignored_growth: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Access to `/metrics`."""

    #: Bearer token required of every request; empty for none.
    token: str = field(repr=False, default="")
    #: Whether the page is open where there is no token.
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration, checked."""

    path: Path
    sources: Mapping[str, SourceConfig]
    destinations: Mapping[str, DestinationConfig]
    routes: tuple[Route, ...]
    retry: Retry
    retention: Retention
    alerts: Alerts
    log: Log
    metrics: Metrics
    #: Largest request body in bytes.
    max_body_bytes: int
    #: Folder of the templates.
    templates: Path
    database_url: str = field(repr=False)
    #: Password of the console; empty: there is no console.
    console_password: str = field(repr=False, default="")
    #: Accepted in `Api-Key` beside the destinations' own keys (`BRIDGE_INBOUND_TOKEN`).
    inbound_tokens: tuple[str, ...] = field(repr=False, default=())
    port: int
    #: Trusted proxies in front of the program.
    proxies: int
    #: Receiving processes.
    processes: int

    @property
    def secret_values(self) -> set[str]:
        """Every secret, the database password included, for masking in logs."""
        values = {*self.inbound_tokens, self.console_password, self.metrics.token}
        values |= {self.alerts.url, urlsplit(self.database_url).password or ""}
        for part in (self.sources, self.destinations):
            for section in part.values():
                values |= {one for each in section.secrets.values() for one in each}
        return values - {""}

    def route(self, name: str) -> Route | None:
        """Find a route by its name or a previous one."""
        return next((route for route in self.routes if name in route.names), None)

    def destination_of(self, route_name: str) -> DestinationConfig | None:
        """Find the destination of a route; None for an unknown route."""
        route = self.route(route_name)
        return None if route is None else self.destinations[route.destination]
