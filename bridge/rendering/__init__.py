"""Rewards to Iterable payloads, by templates a user edits. Pure: values in, bytes out.

A template cannot produce broken JSON, cannot be injected, never sends an empty value
by accident, and is bounded in steps and size. `docs/templates.md` is its manual.
"""

from bridge.rendering.context import CONTEXT
from bridge.rendering.payload import Payload
from bridge.rendering.templates import Templates, lint

__all__ = ["CONTEXT", "Payload", "Templates", "lint"]
