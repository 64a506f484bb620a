"""Iterable: send a payload, ask about a campaign, say what answers and reports mean.

It keeps status, code, keys of `params` and the request id of an answer. The text
(`msg`) is never kept: it repeats addresses, and in one case the API key.
"""

from bridge.iterable.classification import classify
from bridge.iterable.client import Client
from bridge.iterable.readback import SentMessages
from bridge.iterable.reports import means, named_event, read_report

__all__ = [
    "Client",
    "SentMessages",
    "classify",
    "means",
    "named_event",
    "read_report",
]
