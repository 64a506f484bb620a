"""A missing publication to the webhook that should have arrived, found and queued."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import VendorRejected
from bridge.model import Capture, EventStatus, Json, NewEvent
from bridge.operations.reconcile import (
    Comparison,
    Finding,
    FoundPublication,
    Listed,
)
from bridge.operations.replay import (
    PlannedReplay,
    PlanSummary,
    ReplayItem,
    ReplayOutcome,
    summarize,
)

#: Events a project sends for a publication, in the order they are tried: the list does
#: not say which of them a route matches.
_EVENTS = (
    "publication.succeeded",
    "voucher.published",
    "customer.publication.succeeded",
)
#: Tried as well for publications of a distribution.
_MANUAL = "manual_distribution_schedule"
#: Which kind of voucher a block makes it.
_TYPES = {
    "discount": "DISCOUNT_VOUCHER",
    "gift": "GIFT_VOUCHER",
    "loyalty_card": "LOYALTY_CARD",
}
_NOT_FOUND = 404

Object = Mapping[str, Json]
#: Campaign, kind of voucher, and how many events may have brought it.
_Family = tuple[str, str | None, int]


class WebhookBuilder:
    """Makes the webhooks of publications that the ledger lacks.

    Args:
        decide: The intake's; finds out which event a route matches.
        source: Name of the configured source the webhooks are of.
        look_up: Finds a whole voucher by its id: the list shows too little of it for
            most templates, and not when it expires. None where it cannot be seen.
    """

    def __init__(
        self,
        decide: Callable[[Capture], NewEvent],
        look_up: Callable[[str], Object | None],
        source: str,
    ) -> None:
        self._decide = decide
        self._look_up = look_up
        self._source = source
        #: Campaigns and kinds of vouchers that no route matches.
        self._unrouted: set[_Family] = set()
        #: Vouchers that could not be looked up.
        self.unseen = 0

    def build(self, missing: Listed) -> Capture | FoundPublication:
        """Make a publication's webhook, or say why there is none.

        Raises:
            VendorError: Voucherify cannot be asked for the vouchers.
        """
        listed = json.loads(missing.publication.document)
        family = _family(listed)
        if family in self._unrouted:
            return missing.found(Finding.UNROUTED, "no route matches it")
        try:
            vouchers = self._vouchers(missing, listed)
        except VendorRejected as error:
            if error.status != _NOT_FOUND:
                raise
            return missing.found(Finding.UNUSABLE, "its voucher no longer exists")
        for event in _events(listed):
            capture = Capture(
                body=_envelope(listed, vouchers, event), source=self._source
            )
            if self._decide(capture).status is not EventStatus.IGNORED:
                return capture
        if any(voucher["type"] is None for voucher in vouchers):
            # Routes ask for campaign and kind, and neither is known.
            return missing.found(Finding.UNUSABLE, "its vouchers cannot be seen")
        if family is not None:
            self._unrouted.add(family)
        return missing.found(Finding.UNROUTED, "no route matches it")

    def _vouchers(self, missing: Listed, listed: Object) -> list[Object]:
        codes = _paired(missing)
        shown = listed.get("voucher")
        vouchers: list[Object] = []
        for voucher_id in missing.publication.voucher_ids:
            voucher: dict[str, Json] = {"type": None, "code": codes.get(voucher_id)}
            if isinstance(shown, dict) and len(missing.publication.voucher_ids) == 1:
                voucher |= {"type": _type(shown), **shown}
            whole = self._look_up(voucher_id)
            self.unseen += whole is None
            vouchers.append(voucher | dict(whole or {}) | {"id": voucher_id})
        return vouchers


def _paired(missing: Listed) -> dict[str, str]:
    """Pair voucher ids with codes; both may be listed in different orders.

    The ledger knows the pairs it has sent. How the others are paired does not matter:
    each code is sent once, and under one of the keys that a webhook would bring.
    """
    one, known = missing.publication, dict(missing.known)
    ids = [each for each in one.voucher_ids if each not in known]
    codes = [each for each in one.codes if each not in known.values()]
    return known | dict(zip(ids, codes, strict=False))


def _family(listed: Object) -> _Family | None:
    """Name what decides about the route, where the list shows it."""
    voucher = listed.get("voucher")
    if not isinstance(voucher, dict):
        return None
    return str(voucher.get("campaign")), _type(voucher), len(_events(listed))


def _type(voucher: Object) -> str | None:
    for block, type_ in _TYPES.items():
        if isinstance(voucher.get(block), dict):
            return type_
    return None


def _events(listed: Object) -> Sequence[str]:
    metadata = listed.get("metadata")
    is_by_distribution = (
        isinstance(metadata, dict) and metadata.get("source_type") == "distribution"
    )
    return (*_EVENTS, _MANUAL) if is_by_distribution else _EVENTS


def _envelope(listed: Object, vouchers: Sequence[Object], event: str) -> bytes:
    """Write the webhook; its `source` says that Voucherify did not send it."""
    publication = {
        name: value
        for name, value in listed.items()
        if name not in ("voucher", "vouchers")
    }
    shown: dict[str, Any] = {"vouchers": vouchers}
    if len(vouchers) == 1:
        shown = {"voucher": vouchers[0]}
    document = {
        "id": f"reconcile:{listed.get('id')}",
        "created_at": listed.get("created_at"),
        "type": event,
        "data": {
            "customer": listed.get("customer"),
            "campaign": _campaign(vouchers[0]),
            "publication": publication,
            **shown,
        },
        "source": {"object": "reconcile"},
        "event": {"type": event, "created_at": listed.get("created_at")},
    }
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _campaign(voucher: Object) -> dict[str, Json] | None:
    """Describe the voucher's campaign as an event does, as far as it is known."""
    if voucher.get("campaign") is None and voucher.get("campaign_id") is None:
        return None
    return {
        "id": voucher.get("campaign_id"),
        "name": voucher.get("campaign"),
        "object": "campaign",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What was found, and what a backfill would do."""

    found: tuple[FoundPublication, ...]
    #: The webhooks of what is missing.
    items: tuple[ReplayItem, ...]
    #: What queueing them would do.
    total: PlanSummary
    #: How many matched deliveries have which status.
    statuses: Mapping[str, int]

    @property
    def counts(self) -> Mapping[Finding, int]:
        """Count the findings."""
        return Counter(one.finding for one in self.found)


def item_name(missing: Listed) -> str:
    """Name the webhook of a missing publication in a plan."""
    return f"publication {missing.publication.id}"


def conclude(
    compared: Comparison,
    plan: Sequence[PlannedReplay],
    others: Sequence[FoundPublication],
) -> Reconciliation:
    """Put together what was found.

    Args:
        compared: The list against the ledger.
        plan: What the webhooks of missing publications would become.
        others: What else was found about missing and unlisted ones.
    """
    new = [one for one in plan if one.outcome is ReplayOutcome.NEW]
    return Reconciliation(
        found=(*compared.settled, *_planned(compared, plan), *others),
        items=tuple(one.item for one in new),
        total=summarize(new),
        statuses=Counter(compared.statuses),
    )


def _planned(
    compared: Comparison, plan: Sequence[PlannedReplay]
) -> Iterator[FoundPublication]:
    by_name = {item_name(one): one for one in compared.missing}
    for planned in plan:
        missing = by_name[planned.item.where]
        part = "a part of it was sent" if missing.deliveries else None
        match planned.outcome:
            case ReplayOutcome.NEW:
                yield missing.found(Finding.MISSING, part)
            case ReplayOutcome.PARKED | ReplayOutcome.IGNORED:
                yield missing.found(Finding.UNUSABLE, planned.reason)
            case _ if part is not None:
                # A route that sends a publication whole does not send the rest of it.
                yield missing.found(Finding.UNUSABLE, f"{part}; {planned.reason}")
            case _:
                # Its delivery is erased or has another name; its key remains.
                yield missing.found(Finding.MATCHED, planned.reason)
