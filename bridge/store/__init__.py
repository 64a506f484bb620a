"""All SQL: events, deliveries, keys, attempts and gates, and who may write when.

The only package that knows SQLAlchemy; no error of its or a driver's leaves here.
"""

from bridge.store.aging import DESTINATION
from bridge.store.alarms import Alarm, Alarms
from bridge.store.answers import (
    DeliveryFilter,
    DeliveryRow,
    EventFilter,
    EventRow,
    Health,
    StoredEvent,
    Story,
)
from bridge.store.bulks import Bulk
from bridge.store.commits import Commits
from bridge.store.database import Tx
from bridge.store.deeds import Action, By, Deed
from bridge.store.doubts import Doubt
from bridge.store.figures import Figures
from bridge.store.gates import Gates, gate_of
from bridge.store.glance import MANY, Glance, Hour
from bridge.store.grouping import Ticket
from bridge.store.ids import new_id
from bridge.store.ledger import Ledger
from bridge.store.presence import Presence
from bridge.store.queue import Queue
from bridge.store.reports import Reports, Standing
from bridge.store.sendings import Sending, Sendings
from bridge.store.siblings import Call, DoubtedSend, Sibling
from bridge.store.store import Store, open_store

__all__ = [
    "DESTINATION",
    "MANY",
    "Action",
    "Alarm",
    "Alarms",
    "Bulk",
    "By",
    "Call",
    "Commits",
    "Deed",
    "DeliveryFilter",
    "DeliveryRow",
    "Doubt",
    "DoubtedSend",
    "EventFilter",
    "EventRow",
    "Figures",
    "Gates",
    "Glance",
    "Health",
    "Hour",
    "Ledger",
    "Presence",
    "Queue",
    "Reports",
    "Sending",
    "Sendings",
    "Sibling",
    "Standing",
    "Store",
    "StoredEvent",
    "Story",
    "Ticket",
    "Tx",
    "gate_of",
    "new_id",
    "open_store",
]
