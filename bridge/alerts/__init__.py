"""Tells people what they should know now, through one outgoing webhook."""

from bridge.alerts.channel import Channel
from bridge.alerts.watch import Watch

__all__ = ["Channel", "Watch"]
