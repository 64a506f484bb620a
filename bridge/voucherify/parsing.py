"""A captured webhook to what it tells; never raises."""

from bridge.errors import EnvelopeError
from bridge.model import Capture, Json, Parsed, Reward
from bridge.voucherify.content import (
    Content,
    digest_of,
    open_document,
    send_out_id_of,
)
from bridge.voucherify.document import read
from bridge.voucherify.rewards import rewards_of


def parse(capture: Capture) -> Parsed:
    """Read a webhook as rewards.

    Total: what cannot be used comes back with its `problem`, whatever the bytes. Meant
    for bytes that are proven authentic, and only for those.
    """
    document, problem = _read(capture.body)
    send_out_id = send_out_id_of(document)
    digest = digest_of(capture) if send_out_id is None else ""
    content: Content | None = None
    rewards: tuple[Reward, ...] = ()
    if problem is None:
        try:
            content = open_document(document, digest=digest)
            rewards = rewards_of(content)
        except EnvelopeError as error:
            problem = error.reason
    return Parsed(
        transport_key=send_out_id or f"sha256:{digest}",
        is_hashed=send_out_id is None,
        kind="unknown" if content is None else content.kind,
        event_type=None if content is None else content.event_type,
        rewards=rewards,
        document=document,
        problem=problem,
    )


def _read(body: bytes) -> tuple[Json, str | None]:
    try:
        return read(body), None
    except EnvelopeError as error:
        return None, error.reason
