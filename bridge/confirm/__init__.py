"""One Iterable webhook to one state change: what became of a message it took."""

from bridge.confirm.receiving import Confirm
from bridge.confirm.telling import Told

__all__ = ["Confirm", "Told"]
