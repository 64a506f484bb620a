"""What deliveries tell, the newest first, to be compared with a list from elsewhere.

Read in pages of many rows by the order of their ids: a ledger of millions is walked
through without holding it, or anybody up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select

from bridge.model import Capture, DeliveryStatus
from bridge.store.database import AnyRow
from bridge.store.schema import CHUNK, deliveries, events
from bridge.store.store import Store

#: Rows of one page.
PAGE = 5000
#: Ids are made by the program and times by the store: both run in the same order but
#: for differences far smaller than this.
_DISORDER = timedelta(hours=1)

_COLUMNS = (
    deliveries.c.id,
    deliveries.c.event_id,
    deliveries.c.key,
    deliveries.c.code,
    deliveries.c.customer_id,
    deliveries.c.recipient,
    deliveries.c.status,
    deliveries.c.created_at,
)
_NEWEST = select(*_COLUMNS).order_by(deliveries.c.id.desc()).limit(PAGE)
_BEFORE = _NEWEST.where(deliveries.c.id < bindparam("last", type_=deliveries.c.id.type))
_CAPTURES = select(events.c.id, events.c.door, events.c.body).where(
    events.c.id.in_(bindparam("wanted", expanding=True))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """A delivery as far as it says who is told what."""

    id: str
    event_id: str
    #: Business key.
    key: str
    codes: tuple[str, ...]
    customer_id: str | None
    recipient: str
    status: DeliveryStatus
    created_at: datetime


class Tellings:
    """Walks through deliveries.

    Args:
        store: Where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def since(self, moment: datetime) -> Iterator[Telling]:
        """Yield every delivery stored at or after a moment, the newest first."""
        rows = self._page(None)
        while rows:
            yield from (_telling(row) for row in rows if row.created_at >= moment)
            if rows[-1].created_at < moment - _DISORDER:
                return
            rows = self._page(rows[-1].id)

    def captures(self, event_ids: Sequence[str]) -> Iterator[tuple[str, Capture]]:
        """Yield bodies and doors of events, with their ids."""
        several = list(dict.fromkeys(event_ids))
        for start in range(0, len(several), CHUNK):
            wanted = {"wanted": several[start : start + CHUNK]}
            with self._store.read() as tx:
                rows = tx.connection.execute(_CAPTURES, wanted).all()
            for row in rows:
                yield row.id, Capture(body=row.body, door=row.door)

    def _page(self, last: str | None) -> Sequence[AnyRow]:
        with self._store.read() as tx:
            if last is None:
                return tx.connection.execute(_NEWEST).all()
            return tx.connection.execute(_BEFORE, {"last": last}).all()


def _telling(row: AnyRow) -> Telling:
    return Telling(
        id=row.id,
        event_id=row.event_id,
        key=row.key,
        # Written by the intake with this between them.
        codes=tuple(row.code.split(", ")) if row.code else (),
        customer_id=row.customer_id,
        recipient=row.recipient,
        status=DeliveryStatus(row.status),
        created_at=row.created_at,
    )
