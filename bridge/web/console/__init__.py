"""The operator's pages below `/console/`, as one Flask blueprint."""

from bridge.web.console.pages import install

__all__ = ["install"]
