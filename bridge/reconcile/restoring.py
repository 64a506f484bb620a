"""A publication that is missing to the webhook that should have told of it."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.errors import VoucherifyRefusal
from bridge.model import Arrival, Capture, EventStatus, Json
from bridge.reconcile.standing import Finding, Found, Missing

#: Events by which a project tells of a publication, in the order they are tried: the
#: list does not say which of them a route waits for.
_EVENTS = (
    "publication.succeeded",
    "voucher.published",
    "customer.publication.succeeded",
)
#: Tried as well for what a distribution published.
_MANUAL = "manual_distribution_schedule"
#: Which kind of voucher a block makes it.
_TYPES = {
    "discount": "DISCOUNT_VOUCHER",
    "gift": "GIFT_VOUCHER",
    "loyalty_card": "LOYALTY_CARD",
}
_NOT_FOUND = 404

Object = Mapping[str, Json]
#: Campaign, kind of voucher, and how many events may have told of it.
_Family = tuple[str, str | None, int]


class Restorer:
    """Makes the webhooks of publications that the ledger lacks.

    Args:
        decide: The intake's; finds out which event a route wants.
        look_up: Finds a whole voucher by its id: the list shows too little of it for
            most templates, and not when it expires. None where it cannot be seen.
    """

    def __init__(
        self,
        decide: Callable[[Capture], Arrival],
        look_up: Callable[[str], Object | None],
    ) -> None:
        self._decide = decide
        self._look_up = look_up
        #: Campaigns and kinds of vouchers that no route wants: known after the first.
        self._unwanted: set[_Family] = set()
        #: Vouchers that could not be looked up.
        self.unseen = 0

    def restore(self, missing: Missing) -> Capture | Found:
        """Make a publication's webhook, or say why there shall be none.

        Raises:
            VoucherifyError: Voucherify cannot be asked for the vouchers.
        """
        listed = json.loads(missing.publication.document)
        family = _family(listed)
        if family in self._unwanted:
            return missing.found(Finding.UNWANTED, "no route wants it")
        try:
            vouchers = self._vouchers(missing, listed)
        except VoucherifyRefusal as error:
            if error.status != _NOT_FOUND:
                raise
            return missing.found(Finding.UNUSABLE, "its voucher exists no more")
        for event in _events(listed):
            capture = Capture(body=_envelope(listed, vouchers, event))
            if self._decide(capture).status is not EventStatus.IGNORED:
                return capture
        if any(voucher["type"] is None for voucher in vouchers):
            # Routes ask for campaign and kind, and neither is known.
            return missing.found(Finding.UNUSABLE, "its vouchers cannot be seen")
        if family is not None:
            self._unwanted.add(family)
        return missing.found(Finding.UNWANTED, "no route wants it")

    def _vouchers(self, missing: Missing, listed: Object) -> list[Object]:
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


def _paired(missing: Missing) -> dict[str, str]:
    """Pair voucher ids with codes; nobody says that both are listed in one order.

    The ledger knows the pairs it has told. How the others are paired is no matter:
    each code is told once, and under one of the keys that a webhook would bring.
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
    """Write the webhook; its source says that Voucherify did not send it."""
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
