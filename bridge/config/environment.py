"""The variables the program reads, and what is wrong with them."""

import os
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bridge.config.settings import Role
from bridge.errors import Problem

#: What the program reads; the file may give each another name.
VARIABLES = (
    "VOUCHERIFY_WEBHOOK_SECRET",
    "BRIDGE_INBOUND_TOKEN",
    "ITERABLE_WEBHOOK_SECRET",
    "BRIDGE_CONSOLE_PASSWORD",
    "BRIDGE_METRICS_TOKEN",
    "ALERT_WEBHOOK_URL",
    "ITERABLE_API_KEY",
    "ITERABLE_BASE_URL",
    "VOUCHERIFY_APP_ID",
    "VOUCHERIFY_APP_TOKEN",
    "VOUCHERIFY_BASE_URL",
    "DATABASE_URL",
    "BRIDGE_EPHEMERAL_DISK",
    "PORT",
    "WEB_CONCURRENCY",
    "LOG_LEVEL",
    "LOG_FORMAT",
)
#: Of these those that are only compared with what others show or sign.
_SECRETS = (
    "VOUCHERIFY_WEBHOOK_SECRET",
    "BRIDGE_INBOUND_TOKEN",
    "ITERABLE_WEBHOOK_SECRET",
    "BRIDGE_CONSOLE_PASSWORD",
    "BRIDGE_METRICS_TOKEN",
)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def environ() -> Mapping[str, str]:
    """Return the process environment; the only place that touches it."""
    return os.environ


class Environment:
    """The variables the program reads, under the names the file gives them."""

    def __init__(self, env: Mapping[str, str], renamed: Any) -> None:
        self._env = env
        self._renamed = renamed if isinstance(renamed, Mapping) else {}

    def name(self, name: str) -> str:
        """Give the name that stands for a variable here."""
        return str(self._renamed.get(name, name))

    def get(self, name: str, default: str = "") -> str:
        """Read a variable; blank counts as unset."""
        return self._env.get(self.name(name), "").strip() or default

    def several(self, name: str) -> tuple[str, ...]:
        """Read a comma-separated list, as secrets are while they rotate."""
        return tuple(one.strip() for one in self.get(name).split(",") if one.strip())

    def problems(
        self, roles: tuple[Role, ...], *, has_data_center: bool
    ) -> list[Problem]:
        """List what is missing for these roles, and what makes no sense."""
        found = self._proofs() if "receive" in roles else []
        if "deliver" in roles:
            if not self.get("ITERABLE_API_KEY"):
                found.append(Problem(self.name("ITERABLE_API_KEY"), "is not set"))
            if not self.get("ITERABLE_BASE_URL") and not has_data_center:
                fault = "is needed: us or eu (no default)"
                found.append(Problem("iterable.data_center", fault))
        if "reconcile" in roles:
            found += [
                Problem(self.name(name), "is not set; reconcile needs it")
                for name in ("VOUCHERIFY_APP_ID", "VOUCHERIFY_APP_TOKEN")
                if not self.get(name)
            ]
        for name in _SECRETS:
            found += self._faults(name, _secret_fault)
        for name in ("ITERABLE_API_KEY", "VOUCHERIFY_APP_ID", "VOUCHERIFY_APP_TOKEN"):
            found += self._faults(name, header_fault)
        for name in ("ITERABLE_BASE_URL", "VOUCHERIFY_BASE_URL"):
            found += self._faults(name, _base_url_fault)
        found += self._faults("ALERT_WEBHOOK_URL", _alert_fault)
        found += self._faults("DATABASE_URL", _database_fault) + self._forgetting()
        found += self._number("PORT", 0, 65535) + self._number("WEB_CONCURRENCY", 1, 64)
        found += self._choice("LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR")
        return found + self._choice("LOG_FORMAT", "json", "text")

    def _proofs(self) -> list[Problem]:
        """Demand a secret or a token: one of them is enough."""
        proofs = ("VOUCHERIFY_WEBHOOK_SECRET", "BRIDGE_INBOUND_TOKEN")
        if any(self.several(name) for name in proofs):
            return []
        fault = (
            f"is not set, nor is {self.name(proofs[1])}: "
            "without either, anybody could send rewards"
        )
        return [Problem(self.name(proofs[0]), fault)]

    @property
    def is_dyno(self) -> bool:
        """Tell whether this is a Heroku dyno.

        References:
            https://devcenter.heroku.com/articles/dynos#local-environment-variables
        """
        return "DYNO" in self._env

    def _forgetting(self) -> list[Problem]:
        """Refuse a file where the disk is emptied at each restart."""
        is_file = self.get("DATABASE_URL", "sqlite").startswith("sqlite")
        accepted = self.get("BRIDGE_EPHEMERAL_DISK") == "accept"
        if not (self.is_dyno and is_file) or accepted:
            return self._choice("BRIDGE_EPHEMERAL_DISK", "", "accept")
        fault = (
            "a dyno loses its files at each restart: add Heroku Postgres, or set "
            f"{self.name('BRIDGE_EPHEMERAL_DISK')}=accept"
        )
        return [Problem(self.name("DATABASE_URL"), fault)]

    def _faults(
        self, name: str, fault_of: Callable[[str], str | None]
    ) -> list[Problem]:
        value = self.get(name)
        fault = fault_of(value) if value else None
        return [] if fault is None else [Problem(self.name(name), fault)]

    def _number(self, name: str, low: int, high: int) -> list[Problem]:
        text = self.get(name)
        if not text or (re.fullmatch(r"\d{1,5}", text) and low <= int(text) <= high):
            return []
        return [Problem(self.name(name), f"must be a number from {low} to {high}")]

    def _choice(self, name: str, *allowed: str) -> list[Problem]:
        text = self.get(name, allowed[0])
        if text.lower() in {one.lower() for one in allowed}:
            return []
        return [Problem(self.name(name), f"must be one of {', '.join(allowed)}")]


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine only."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_fault(url: str) -> str | None:
    """Say why a URL names no server that may be called; None where it does."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL: its host or port cannot be read"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "is not a URL: it has characters that may not stand in one"
    if "@" in parts.netloc:
        # It is printed with every plan.
        return "must not have a user or a password in it"
    if parts.scheme not in ("http", "https") or not _is_host(parts.hostname or ""):
        return "is not a URL such as https://host"
    return None


def _is_host(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    if all(_LABEL.fullmatch(label) for label in labels):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _base_url_fault(url: str) -> str | None:
    fault = url_fault(url)
    if fault is None and ("?" in url or "#" in url):
        return "must end with the host or a path"
    if fault is None and not (url.startswith("https:") or is_loopback(url)):
        return "must be https, or loopback"
    return fault


def _alert_fault(url: str) -> str | None:
    fault = url_fault(url)
    if fault is None and not (url.startswith("https:") or is_loopback(url)):
        return "must be https, or loopback"
    return fault


def _database_fault(url: str) -> str | None:
    """Find what would make a reader of the URL fail; never shows any of it."""
    try:
        _ = urlsplit(url).port
    except ValueError:
        return "is not a URL: its host or port cannot be read"
    return None if url.isprintable() else "has characters that cannot stand in it"


def _secret_fault(value: str) -> str | None:
    """Find bytes that are no text: Python reads each as half a character."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None


def header_fault(value: str) -> str | None:
    """Say why a header cannot carry a value; None where it can."""
    if value.isascii() and value.isprintable():
        return None
    return "has characters that cannot stand in a header"
