"""The nouns of the bridge, frozen, and the table of a delivery's states."""

from bridge.model.attempts import (
    ENDPOINTS,
    Attempt,
    Blame,
    Classification,
    Outcome,
    Settlement,
)
from bridge.model.deliveries import (
    Arrival,
    Claim,
    Lane,
    Limit,
    NewDelivery,
    Stored,
)
from bridge.model.gates import Gate, GateState
from bridge.model.reports import Became, KeptReport, Match, News, Report
from bridge.model.rewards import (
    Capture,
    Json,
    Parsed,
    Recipient,
    Reward,
    SourceId,
    UserId,
)
from bridge.model.states import (
    TRANSITIONS,
    Cause,
    DeliveryStatus,
    EventStatus,
    next_status,
    sources,
)

__all__ = [
    "ENDPOINTS",
    "TRANSITIONS",
    "Arrival",
    "Attempt",
    "Became",
    "Blame",
    "Capture",
    "Cause",
    "Claim",
    "Classification",
    "DeliveryStatus",
    "EventStatus",
    "Gate",
    "GateState",
    "Json",
    "KeptReport",
    "Lane",
    "Limit",
    "Match",
    "NewDelivery",
    "News",
    "Outcome",
    "Parsed",
    "Recipient",
    "Report",
    "Reward",
    "Settlement",
    "SourceId",
    "Stored",
    "UserId",
    "next_status",
    "sources",
]
