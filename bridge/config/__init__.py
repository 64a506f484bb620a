"""File and environment to one frozen `Config`; nothing else reads either.

Settings and specs are here at once; what reads the file is imported when it is used,
because marshmallow takes longer to import than `--help` may take.

References:
    `config.example.yaml` describes every setting of the file.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.config.environment import environ
from bridge.config.settings import (
    Alerts,
    Config,
    DestinationConfig,
    Log,
    Lookup,
    Match,
    Metrics,
    RecipientRule,
    Retention,
    Retry,
    Role,
    Route,
    SecretSpec,
    SectionSpec,
    SourceConfig,
    Verify,
)
from bridge.config.urls import header_fault, is_loopback, url_fault

if TYPE_CHECKING:
    from bridge.config.loading import examine, load

__all__ = [
    "Alerts",
    "Config",
    "DestinationConfig",
    "Log",
    "Lookup",
    "Match",
    "Metrics",
    "RecipientRule",
    "Retention",
    "Retry",
    "Role",
    "Route",
    "SecretSpec",
    "SectionSpec",
    "SourceConfig",
    "Verify",
    "environ",
    "examine",
    "header_fault",
    "is_loopback",
    "load",
    "shipped",
    "url_fault",
]


def __getattr__(name: str) -> Any:
    if name not in ("examine", "load"):
        raise AttributeError(name)
    return getattr(import_module("bridge.config.loading"), name)


def shipped(name: str) -> Path:
    """Find a file or folder shipped with the package, in a checkout or installed.

    Args:
        name: `samples`, `templates` or `config.example.yaml`.
    """
    package = Path(__file__).parents[1]
    # Other packages are beside an installed one, and one may be called `samples`.
    is_checkout = (package.parent / "pyproject.toml").is_file()
    return (package.parent if is_checkout else package / "_data") / name
