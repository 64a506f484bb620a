"""The threads that make attempts, each at its slot and never past its lease."""

from bridge.senders.lateness import LATEST
from bridge.senders.restraint import ALL
from bridge.senders.tasks import Task
from bridge.senders.threads import Senders

__all__ = ["ALL", "LATEST", "Senders", "Task"]
