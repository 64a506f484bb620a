"""The doors: requests in, one call, answer out."""

from bridge.web.application import create_app

__all__ = ["create_app"]
