"""Messages to payloads, by templates a user edits. Pure: values in, bytes out.

A template cannot produce broken JSON, cannot be injected, never sends an empty value by
accident, and is bounded in time and size. `docs/templates.md` is its manual.
"""

from bridge.rendering.context import CONTEXT, FIELDS
from bridge.rendering.lint import Names
from bridge.rendering.templates import Payload, PayloadRules, Templates, lint

__all__ = [
    "CONTEXT",
    "FIELDS",
    "Names",
    "Payload",
    "PayloadRules",
    "Templates",
    "lint",
]
