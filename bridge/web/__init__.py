"""The doors: requests in, one call, answer out."""

from bridge.web.application import create_app, create_state_app
from bridge.web.receiver import DOORS

__all__ = ["DOORS", "create_app", "create_state_app"]
