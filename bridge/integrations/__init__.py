"""What a vendor's folder offers the rest of the program, and how it is found.

One folder a vendor (`bridge/integrations/<kind>/`), whose `INTEGRATION` names the roles
it plays. The middle of the program (intake, delivery, web, console, CLI) knows these
protocols and no vendor. A vendor outside this package registers its `INTEGRATION` under
the entry point group `reward_bridge.integrations`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Protocol

from bridge.config import Config, DestinationConfig, Route, SectionSpec, SourceConfig
from bridge.http import HttpClient
from bridge.model import (
    Capture,
    Json,
    Message,
    Outcome,
    ParsedWebhook,
    Receipt,
    Recipient,
)

if TYPE_CHECKING:
    from flask import Blueprint

GROUP = "reward_bridge.integrations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as a source sees it."""

    #: Path below the host, as received (`/webhooks/voucherify`).
    path: str
    #: Exactly as received.
    body: bytes
    #: Lower-case names; values decoded as latin-1.
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a compatible endpoint answers instead of the bridge's own shape."""

    status: int
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundEndpoint:
    """One address a source receives webhooks at.

    `verify` raises `SignatureError` for a request that is not authenticated; it knows
    every configured secret that the endpoint accepts (see `Source.endpoints`).
    """

    #: Without a trailing slash (`/webhooks/voucherify`, `/api/email/target`).
    path: str
    verify: Callable[[Request], None]
    #: Stored as `Capture.endpoint`: the destination endpoint it replaces.
    endpoint: str | None = None
    #: Names of the request headers kept with the capture, lower case, no secrets.
    kept_headers: tuple[str, ...] = ()
    #: The vendor's own shape for success (given the event id) and for each failure
    #: (given status and reason); None for the bridge's own 202 and problem+json.
    success: Callable[[str], Answer] | None = None
    failure: Callable[[int, str], Answer] | None = None


class Source(Protocol):
    """Verifies and reads webhooks of one configured source. Pure after construction."""

    name: str

    def endpoints(self, api_keys: Sequence[str]) -> Sequence[InboundEndpoint]:
        """List the addresses it receives at; its own is `/webhooks/<name>`.

        Args:
            api_keys: What authenticates callers of compatible endpoints in `Api-Key`:
                `BRIDGE_INBOUND_TOKEN` and the destinations' keys.
        """

    def parse(self, capture: Capture) -> ParsedWebhook:
        """Read a verified webhook. Total: never raises, whatever the bytes."""

    def merge(self, messages: Sequence[Message]) -> Message:
        """Merge the messages of one group into one (`group_by: publication`)."""

    def find(self, parsed: ParsedWebhook, key: str) -> Message | None:
        """Find a message by its business key, that of a merged group included."""

    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:
        """Make the headers that authenticate a body, for `replay --to` and `sign`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadCheck:
    """A rendered payload, judged by the destination's rules for an endpoint."""

    #: The document to send: keys the destination does not know are left out.
    document: Mapping[str, Json]
    #: How many keys were left out.
    dropped: int = 0
    #: True where the body itself named the campaign (a raw body).
    names_campaign: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTarget:
    """The person and campaign a stored payload is for, read back from its bytes."""

    person: Recipient
    campaign_id: int
    #: True where it goes out at a time of its own.
    is_scheduled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SentCount:
    """What a destination says a person was sent through some campaigns."""

    outcome: Outcome
    #: Messages; None where the answer was not usable.
    count: int | None = None
    #: The destination's clock, from its answer.
    server_time: datetime | None = None


class Verification(Protocol):
    """Answers whether a message was sent, for destinations that can be asked."""

    def target_of(self, payload: bytes) -> SendTarget | None:
        """Read the person and campaign of a payload; None where there is none."""

    def sent_messages(
        self, person: Recipient, campaign_ids: Iterable[int], since: datetime
    ) -> SentCount:
        """Ask how many messages a person was sent since a time."""


class Destination(Protocol):
    """Sends payloads to one configured destination; safe to share between greenlets."""

    name: str
    config: DestinationConfig
    #: None where the destination cannot be asked what it sent.
    verification: Verification | None

    def check_recipient(self, recipient: Recipient) -> None:
        """Raise `RecipientError` for a name the destination would reject."""

    def check_payload(
        self, route: Route, endpoint: str, document: Json, recipient: Recipient
    ) -> PayloadCheck:
        """Judge a rendered document; raises `ValueError` with the reason in words."""

    def is_idempotent(self, endpoint: str) -> bool:
        """Tell whether an unknown outcome may simply be sent again."""

    def send(self, endpoint: str, body: bytes) -> Outcome:
        """Post a payload once. Never raises: every ending is an outcome."""

    def probe(self, route: Route | None) -> Outcome:
        """Ask at little cost whether key (and the route's campaign) are good."""

    def check(self, route: Route) -> str | None:
        """Ask whether a route would work: None, or the problem with its fix."""

    def is_sandbox(self) -> bool:
        """Tell whether the base URL is one of our own sandboxes (it says so)."""


class Receipts(Protocol):
    """Reads what a destination reports later (its system webhooks). Pure."""

    #: Where they arrive (`/webhooks/iterable`).
    path: str

    def verify(self, request: Request) -> None:
        """Raise `SignatureError` for a request that is not authenticated."""

    def read(self, body: bytes) -> Receipt | None:
        """Read a receipt; None for a webhook that says nothing about delivery."""

    def event_name(self, body: bytes) -> str | None:
        """Name the vendor's event of an ignored webhook, where it can be shown."""

    def may_be_about(self, receipt: Receipt, payload: bytes) -> bool:
        """Tell whether a receipt may be about what was sent with this payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReceipts:
    """Where a sandbox posts receipts of what it accepted, and how they authenticate."""

    url: str
    secret: str


class Sandbox(Protocol):
    """A local sandbox of the vendor: a Flask blueprint that follows the contract."""

    #: Path prefix-free blueprint; its control API is below `/_sandbox/<kind>`.
    blueprint: "Blueprint"

    def environment(self, base_url: str) -> Mapping[str, str]:
        """Name the variables that point the bridge at it (`ITERABLE_BASE_URL`, …)."""

    def close(self) -> None:
        """End what runs in the background (receipts to send)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """The roles one vendor plays; None for those it does not."""

    kind: str
    #: As people write it (`Voucherify`).
    title: str
    source_spec: SectionSpec | None = None
    make_source: Callable[[SourceConfig], Source] | None = None
    destination_spec: SectionSpec | None = None
    make_destination: Callable[[DestinationConfig, HttpClient], Destination] | None = (
        None
    )
    make_receipts: Callable[[DestinationConfig], Receipts] | None = None
    #: Given where to send receipts, or None for none.
    make_sandbox: Callable[[SandboxReceipts | None], Sandbox] | None = None
    #: Words shown by `check` and errors for a template context name -> meaning.
    context: Mapping[str, str] | None = None
    #: Context names whose fields are all known -> those fields; others are open.
    context_fields: Mapping[str, frozenset[str]] | None = None
    #: Event types a source makes messages of, shell patterns included, for notes on
    #: misspelt ones.
    known_events: tuple[str, ...] = ()


@cache
def find(kind: str) -> Integration | None:
    """Find a vendor by its kind; None where no folder or entry point has it."""
    if find_spec(f"{__name__}.{kind}") is not None:
        return _integration(import_module(f"{__name__}.{kind}").INTEGRATION)
    for entry in entry_points(group=GROUP, name=kind):
        return _integration(entry.load())
    return None


@cache
def kinds() -> tuple[str, ...]:
    """List the kinds of all vendors, in alphabetical order."""
    folders = {one.name for one in iter_modules(__path__) if one.ispkg}
    return tuple(sorted(folders | {one.name for one in entry_points(group=GROUP)}))


def make_sources(config: Config) -> dict[str, Source]:
    """Make the configured sources, by name."""
    found = {}
    for name, section in config.sources.items():
        integration = find(section.kind)
        if integration is not None and integration.make_source is not None:
            found[name] = integration.make_source(section)
    return found


def make_destinations(
    config: Config, *, concurrency: int = 10
) -> dict[str, Destination]:
    """Make the configured destinations, by name, each with connections of its own."""
    found = {}
    for name, section in config.destinations.items():
        integration = find(section.kind)
        if integration is not None and integration.make_destination is not None:
            http = HttpClient(pool=concurrency)
            found[name] = integration.make_destination(section, http)
    return found


def make_receipts(config: Config) -> dict[str, Receipts]:
    """Make what reads the receipts of each destination that sends any, by name."""
    found = {}
    for name, section in config.destinations.items():
        integration = find(section.kind)
        if integration is not None and integration.make_receipts is not None:
            found[name] = integration.make_receipts(section)
    return found


def _integration(found: Any) -> Integration:
    if not isinstance(found, Integration):
        raise TypeError(f"{found!r} is no Integration")
    return found
