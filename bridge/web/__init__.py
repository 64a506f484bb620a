"""The doors: requests in, one call, answer out."""

from bridge.web.application import create_app
from bridge.web.receiver import DOORS

__all__ = ["DOORS", "create_app"]
