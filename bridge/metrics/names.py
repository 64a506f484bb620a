"""What is counted, under which names; labels have only the values listed here.

No label takes a value out of a webhook or an answer: they are the configured routes
and closed sets of words, so the number of series is known at the start.
"""

from bridge.metrics.families import GATES, ROUTES, Counter, Gauge, Histogram
from bridge.model import (
    TRANSITIONS,
    Became,
    Classification,
    DeliveryStatus,
    EventStatus,
    GateState,
)

#: States of which the store can say cheaply how many there are: those that end well
#: only grow, and are counted as they come.
COUNTED_STATES = (
    DeliveryStatus.PENDING,
    DeliveryStatus.SENDING,
    DeliveryStatus.IN_DOUBT,
    DeliveryStatus.HELD,
    DeliveryStatus.DEAD,
    DeliveryStatus.SUPPRESSED,
    DeliveryStatus.DROPPED,
    DeliveryStatus.UNDELIVERED,
)
#: States an attempt can lead to.
SETTLED_STATES = tuple(
    dict.fromkeys(
        after
        for (before, _), after in TRANSITIONS.items()
        if before is DeliveryStatus.SENDING
    )
)
#: Why a request was turned away, by status; any other is `malformed`.
REFUSALS = {
    401: "not_authentic",
    404: "no_such_door",
    405: "no_such_door",
    408: "too_slow",
    413: "too_large",
    500: "fault",
    503: "unavailable",
}
MALFORMED = "malformed"
UNKNOWN = "unknown"

_QUICK = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

WEBHOOKS = Counter(
    "bridge_webhooks_total",
    "Webhooks answered with 202, by what they became.",
    {"status": tuple(EventStatus)},
)
REPORTS = Counter(
    "bridge_reports_total",
    "System webhooks of Iterable answered with 202, by what they became.",
    {"became": tuple(Became)},
)
REFUSED = Counter(
    "bridge_refused_requests_total",
    "Requests turned away, by reason.",
    {"reason": tuple(dict.fromkeys((*REFUSALS.values(), MALFORMED)))},
)
ANSWER_SECONDS = Histogram(
    "bridge_answer_seconds",
    "From a webhook's last byte to its stored answer.",
    _QUICK,
)
COMMIT_WEBHOOKS = Histogram(
    "bridge_commit_webhooks",
    "Webhooks that shared one commit.",
    (1, 2, 4, 8, 16, 32, 64),
)
ATTEMPTS = Counter(
    "bridge_attempts_total",
    "Calls that were to send a message, by what the answer means.",
    {"class": (*(one.lower() for one in Classification), UNKNOWN)},
)
CALL_SECONDS = Histogram(
    "bridge_iterable_call_seconds",
    "Length of the calls that were to send a message.",
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20),
)
RELAY_SECONDS = Histogram(
    "bridge_webhook_to_iterable_seconds",
    "From a stored webhook to Iterable's acceptance of its message.",
    (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 1800, 7200, 86400),
)
SETTLED = Counter(
    "bridge_settled_deliveries_total",
    "Attempts written down, by the state they led to.",
    {"route": ROUTES, "state": SETTLED_STATES},
)
DELIVERIES = Gauge(
    "bridge_deliveries",
    "Deliveries in each state that has not ended well.",
    {"route": ROUTES, "state": COUNTED_STATES},
)
DEPTH = Gauge("bridge_queue_depth", "Deliveries that wait to be sent.")
OLDEST_DUE_SECONDS = Gauge(
    "bridge_oldest_due_seconds",
    "How long the oldest due delivery has been due.",
    {"route": ROUTES},
)
GATE_STATE = Gauge(
    "bridge_gate_state",
    "1 for the state a gate is in.",
    {"gate": GATES, "state": tuple(GateState)},
)
UPSTREAM_FAILURES = Gauge(
    "bridge_upstream_failures_in_a_row",
    "Answers to webhooks since the last 2xx.",
)
STORE_UP = Gauge("bridge_store_up", "1 where the store could be read, else 0.")
LOOKED_AT = Gauge(
    "bridge_store_looked_at_timestamp_seconds",
    "When the figures that come from the store were counted.",
)
LOOK_SECONDS = Gauge("bridge_store_look_seconds", "How long that took.")

#: What is known only from the store.
FROM_STORE = (DELIVERIES, DEPTH, OLDEST_DUE_SECONDS, GATE_STATE)
FAMILIES: tuple[Counter | Histogram | Gauge, ...] = (
    WEBHOOKS,
    REPORTS,
    REFUSED,
    ANSWER_SECONDS,
    COMMIT_WEBHOOKS,
    UPSTREAM_FAILURES,
    ATTEMPTS,
    CALL_SECONDS,
    RELAY_SECONDS,
    SETTLED,
    *FROM_STORE,
    STORE_UP,
    LOOKED_AT,
    LOOK_SECONDS,
)
