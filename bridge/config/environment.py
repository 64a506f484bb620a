"""The variables the program reads, and what is wrong with them."""

import os
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from bridge.config.settings import Role
from bridge.errors import Problem


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
        found = []
        receives, delivers = "receive" in roles, "deliver" in roles
        proofs = ("VOUCHERIFY_WEBHOOK_SECRET", "BRIDGE_INBOUND_TOKEN")
        if receives and not any(self.several(name) for name in proofs):
            found.append(
                Problem(
                    self.name(proofs[0]),
                    f"is not set, nor is {self.name(proofs[1])}: "
                    "without either, anybody could send rewards",
                )
            )
        if delivers and not self.get("ITERABLE_API_KEY"):
            found.append(Problem(self.name("ITERABLE_API_KEY"), "is not set"))
        base_url = self.get("ITERABLE_BASE_URL")
        if delivers and not base_url and not has_data_center:
            found.append(
                Problem("iterable.data_center", "is needed: us or eu (no default)")
            )
        if base_url and not _is_allowed(base_url):
            found.append(
                Problem(self.name("ITERABLE_BASE_URL"), "must be https, or loopback")
            )
        found += self._number("PORT", 0, 65535) + self._number("WEB_CONCURRENCY", 1, 64)
        found += self._choice("LOG_LEVEL", "DEBUG", "INFO", "WARNING", "ERROR")
        return found + self._choice("LOG_FORMAT", "json", "text")

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


def _is_allowed(url: str) -> bool:
    parts = urlsplit(url)
    if not parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
