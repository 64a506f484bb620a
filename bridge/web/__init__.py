"""HTTP: webhooks and receipts in, status pages out, the operator's console."""

from bridge.web.application import create_app, create_status_app, entrypoints

__all__ = ["create_app", "create_status_app", "entrypoints"]
