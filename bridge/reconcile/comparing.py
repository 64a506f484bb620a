"""What Voucherify lists against what the ledger holds. Pure: no clock, no I/O."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import product

from bridge.publications import Publication
from bridge.reconcile.standing import (
    NEAR,
    Comparison,
    Finding,
    Found,
    Missing,
    Window,
    found_of,
)
from bridge.store.tellings import Telling
from bridge.voucherify import WHOLE, hands_over, publication_id_of, publication_key

#: A webhook usually comes within seconds of its publication.
LATE = timedelta(hours=1)


@dataclass(slots=True)
class _Listed:
    """One listed publication and what the ledger has told of it so far."""

    publication: Publication
    #: By voucher id: the delivery that names it.
    ids: dict[str, Telling] = field(default_factory=dict)
    #: By code: the delivery that shows it.
    codes: dict[str, Telling] = field(default_factory=dict)

    @property
    def tellings(self) -> dict[str, Telling]:
        """By id, each delivery once."""
        both = (*self.ids.values(), *self.codes.values())
        return {one.id: one for one in both}

    @property
    def is_told(self) -> bool:
        one = self.publication
        is_by_ids = bool(one.voucher_ids) and self.ids.keys() >= set(one.voucher_ids)
        return is_by_ids or (bool(one.codes) and self.codes.keys() >= set(one.codes))

    def tell(self, voucher_id: str, telling: Telling) -> None:
        """Note a delivery that names a voucher of it, or all of them."""
        mine = self.publication.voucher_ids
        for each in mine if voucher_id == WHOLE else (voucher_id,):
            self.ids[each] = telling
        self.codes |= {
            code: telling for code in telling.codes if code in self.publication.codes
        }


def compare(
    publications: Iterable[Publication], tellings: Iterable[Telling], window: Window
) -> Comparison:
    """Find out which publications the ledger tells of, and the other way round.

    Args:
        publications: As listed: all in the window, and perhaps some beyond it.
        tellings: The deliveries since the window began, in any order.
        window: What is compared.
    """
    desk = _Desk(window)
    for publication in publications:
        desk.list(publication)
    for telling in tellings:
        desk.hear(telling)
    return desk.result()


class _Desk:
    """Takes in the list, then the ledger, and keeps what is needed of either."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._settled: list[Found] = []
        #: Those of the window that gave something, in the order listed.
        self._listed: list[_Listed] = []
        self._known: set[str] = set()
        self._by_key: dict[str, tuple[_Listed, str]] = {}
        #: By code and person: thousands may have been given one code.
        self._by_code: defaultdict[tuple[str, str], list[_Listed]] = defaultdict(list)
        self._unlisted: defaultdict[str, list[Telling]] = defaultdict(list)

    def list(self, one: Publication) -> None:
        """Take in one publication."""
        if one.id is not None:
            self._known.add(one.id)
        if one.published_at is not None and not self._window.has(one.published_at):
            return
        problem = _problem(one)
        if one.failure is not None:
            self._settled.append(found_of(one, Finding.FAILED, one.failure))
        elif one.id is None or problem is not None:
            self._settled.append(found_of(one, Finding.UNUSABLE, problem))
        else:
            listed = _Listed(one)
            self._listed.append(listed)
            for name in (WHOLE, *one.voucher_ids):
                self._by_key[publication_key(one.id, name)] = (listed, name)
            for pair in product(one.codes, {one.customer_id or "", *one.names}):
                self._by_code[pair].append(listed)

    def hear(self, telling: Telling) -> None:
        """Take in one delivery."""
        named = self._by_key.get(telling.key)
        if named is not None:
            named[0].tell(named[1], telling)
        else:
            self._note_unlisted(telling)
        if hands_over(telling.key):
            self._hear_codes(telling, is_listed=named is not None)

    def _hear_codes(self, telling: Telling, *, is_listed: bool) -> None:
        """Note what a delivery tells by its codes, whatever made it."""
        people = {telling.customer_id, telling.recipient} - {None, ""}
        for code, person in product(telling.codes, people):
            for one in self._by_code.get((code, person or ""), ()):
                if _is_near_enough(one.publication, telling, is_listed=is_listed):
                    one.codes.setdefault(code, telling)

    def _note_unlisted(self, telling: Telling) -> None:
        name = publication_id_of(telling.key)
        is_candidate = name not in self._known and self._window.may_be_of(telling)
        if name is not None and is_candidate:
            self._unlisted[name].append(telling)

    def result(self) -> Comparison:
        """Say what was found."""
        told = [one for one in self._listed if one.is_told]
        return Comparison(
            settled=(*self._settled, *map(_told, told)),
            missing=tuple(_missing(one) for one in self._listed if not one.is_told),
            unlisted={name: tuple(one) for name, one in self._unlisted.items()},
            statuses=tuple(
                telling.status for one in told for telling in one.tellings.values()
            ),
        )


def _problem(one: Publication) -> str | None:
    """Say why a publication cannot be compared."""
    if one.id is None:
        return "it has no id"
    if one.published_at is None:
        return "it does not say when it was made"
    if not one.voucher_ids:
        return "it names no voucher"
    return None


def _is_near_enough(one: Publication, telling: Telling, *, is_listed: bool) -> bool:
    """Tell whether a delivery of a code to a person tells a publication of it to them.

    One that names a listed publication tells another only where that is near, as in
    the intake. One that names none (a reward, a raw body) came whenever it came.
    """
    if one.published_at is None:
        return False
    after = telling.created_at - one.published_at
    return after >= -NEAR and (after <= NEAR or not is_listed)


def _told(listed: _Listed) -> Found:
    """Say that a publication was told, and whether that was in time."""
    one, tellings = listed.publication, listed.tellings
    last = max(telling.created_at for telling in tellings.values())
    delay = timedelta(0) if one.published_at is None else last - one.published_at
    if delay <= LATE:
        return found_of(one, Finding.TOLD, None, tuple(tellings))
    return found_of(one, Finding.LATE, f"came {_span(delay)} later", tuple(tellings))


def _missing(listed: _Listed) -> Missing:
    """Keep what the ledger knows of a publication that it lacks."""
    return Missing(
        publication=listed.publication,
        known={
            voucher_id: telling.codes[0]
            for voucher_id, telling in listed.ids.items()
            if len(telling.codes) == 1
        },
        deliveries=tuple(listed.tellings),
    )


def _span(delay: timedelta) -> str:
    minutes = int(delay.total_seconds()) // 60
    if delay.days:
        return f"{delay.days} d {minutes // 60 % 24} h"
    return f"{minutes // 60} h {minutes % 60} min"
