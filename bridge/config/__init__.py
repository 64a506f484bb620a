"""File and environment to one frozen `Config`; nothing else reads either.

References:
    `config.example.yaml` describes every setting of the file.
"""

from bridge.config.environment import environ, header_fault, is_loopback, url_fault
from bridge.config.loading import Examined, examine, load
from bridge.config.settings import (
    Alerts,
    Condition,
    Config,
    Iterable,
    Log,
    Lookup,
    Metrics,
    Receive,
    RecipientRule,
    Retention,
    Retry,
    Role,
    Route,
    Secrets,
    Verify,
    Voucherify,
)

__all__ = [
    "Alerts",
    "Condition",
    "Config",
    "Examined",
    "Iterable",
    "Log",
    "Lookup",
    "Metrics",
    "Receive",
    "RecipientRule",
    "Retention",
    "Retry",
    "Role",
    "Route",
    "Secrets",
    "Verify",
    "Voucherify",
    "environ",
    "examine",
    "header_fault",
    "is_loopback",
    "load",
    "url_fault",
]
