"""Voucherify as a source: its endpoints, their authentication, reading webhooks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from hmac import compare_digest

from bridge.config import SourceConfig
from bridge.errors import EnvelopeError, SignatureError
from bridge.integrations import InboundEndpoint, Request
from bridge.integrations.iterable import compat
from bridge.integrations.voucherify import messages, signature
from bridge.integrations.voucherify.document import read
from bridge.integrations.voucherify.envelope import (
    Envelope,
    digest_of,
    event_of,
    id_of,
    open_envelope,
)
from bridge.integrations.voucherify.events import messages_of
from bridge.model import Capture, Json, Message, ParsedWebhook

KEPT_HEADERS = ("content-type", "user-agent", signature.HEADER)
_API_KEY = "api-key"
_CHALLENGE = "Voucherify-Signature"


class VoucherifySource:
    """Reads the webhooks of one Voucherify project.

    Args:
        config: Its name, and `secrets["secret"]` that the project signs with.
    """

    def __init__(self, config: SourceConfig) -> None:
        self.name = config.name
        self._secrets = config.secrets.get("secret", ())

    def endpoints(self, api_keys: Sequence[str]) -> Sequence[InboundEndpoint]:
        """List its own endpoint, and Iterable's addresses that a distribution posts to.

        With a secret configured, a webhook at its own endpoint must be signed. At
        Iterable's addresses an Api-Key is enough: a distribution that used to post to
        Iterable comes with Iterable's key.
        """
        own = () if self._secrets else api_keys
        return (
            InboundEndpoint(
                path=f"/webhooks/{self.name}",
                verify=partial(verify, secrets=self._secrets, api_keys=own),
                kept_headers=KEPT_HEADERS,
            ),
            *compat.endpoints(
                partial(verify, secrets=self._secrets, api_keys=api_keys),
                KEPT_HEADERS,
            ),
        )

    def parse(self, capture: Capture) -> ParsedWebhook:
        """Read a verified webhook. Total: what cannot be used has its `problem`."""
        document, problem = _read(capture.body)
        envelope_id = id_of(document)
        digest = digest_of(capture) if envelope_id is None else ""
        envelope: Envelope | None = None
        found: tuple[Message, ...] = ()
        if problem is None:
            try:
                envelope = open_envelope(document, digest=digest)
                found = messages_of(envelope)
            except EnvelopeError as error:
                problem = error.reason
        event_type = None if envelope is None else envelope.event_type
        return ParsedWebhook(
            transport_key=envelope_id or f"sha256:{digest}",
            is_hashed=envelope_id is None,
            kind="unknown" if envelope is None else envelope.kind,
            event_type=event_type,
            messages=found,
            document=document,
            event=event_of(document, event_type),
            problem=problem,
        )

    def merge(self, messages_: Sequence[Message]) -> Message:
        """Merge the messages of one publication into one."""
        return messages.merge(messages_)

    def find(self, parsed: ParsedWebhook, key: str) -> Message | None:
        """Find a message by its business key, that of a whole publication included."""
        return messages.find(parsed, key)

    def sign(self, body: bytes, now: datetime) -> Mapping[str, str]:  # noqa: ARG002
        """Sign a body with the last secret, as Voucherify would."""
        secret = next(reversed(self._secrets), "")
        compact = signature.strip_insignificant(body)
        return {signature.HEADER: signature.sign(compact, secret)}


def verify(
    request: Request, *, secrets: Sequence[str], api_keys: Sequence[str]
) -> None:
    """Accept a request with the project's signature, or with one of the keys.

    Raises:
        SignatureError: Neither authenticates it; the reason says which of the two was
            sent, and what this endpoint accepts.
    """
    given = request.headers.get(_API_KEY)
    if given is not None and _knows(given, api_keys):
        return
    header = request.headers.get(signature.HEADER)
    if header is None and given is not None and api_keys:
        reason = (
            "the key in Api-Key is not one of those known here; while distributions "
            "still send an old key, keep it in BRIDGE_INBOUND_TOKEN"
        )
    elif not secrets:
        reason = "the header Api-Key is missing"
    else:
        try:
            signature.verify(request.body, header, secrets)
            return
        except SignatureError as error:
            reason = error.reason
    raise SignatureError(f"{reason}; {_accepted(secrets, api_keys)}", _CHALLENGE)


def _accepted(secrets: Sequence[str], api_keys: Sequence[str]) -> str:
    ways = [
        *(["Voucherify's signature in X-Voucherify-Signature"] if secrets else []),
        *(["a known key in Api-Key"] if any(api_keys) else []),
    ]
    return (
        f"this endpoint accepts {' or '.join(ways) or 'no request: no secret is set'}"
    )


def _knows(given: str, api_keys: Sequence[str]) -> bool:
    value = given.encode("latin-1", "replace")
    return any(compare_digest(value, key.encode()) for key in api_keys if key)


def _read(body: bytes) -> tuple[Json, str | None]:
    try:
        return read(body), None
    except EnvelopeError as error:
        return None, error.reason
