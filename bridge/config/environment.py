"""The environment variables the program reads, and what is wrong with them.

No message shows a value or a part of one. Problems are collected while values are read.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from bridge.config.urls import database_fault, header_fault
from bridge.errors import Problem

#: What every installation reads; vendors add their own (`SecretSpec.variable`).
VARIABLES = (
    "BRIDGE_INBOUND_TOKEN",
    "BRIDGE_CONSOLE_PASSWORD",
    "BRIDGE_METRICS_TOKEN",
    "ALERT_WEBHOOK_URL",
    "DATABASE_URL",
    "BRIDGE_EPHEMERAL_DISK",
    "PORT",
    "WEB_CONCURRENCY",
    "LOG_LEVEL",
    "LOG_FORMAT",
)
LEAST_SECRET = 6
_QUOTES = "\"'"


def environ() -> Mapping[str, str]:
    """Return the process environment; only this function and `bootstrap` touch it."""
    return os.environ


class Environment:
    """Reads variables under the names the file gives them, and notes their faults.

    A variable may also be given as a file: `NAME_FILE` names one whose text is the
    value, without the line break at its end.

    Args:
        env: The variables.
        renamed: `environment:` of the file: the bridge's name -> the name used here.
    """

    def __init__(self, env: Mapping[str, str], renamed: Mapping[str, str]) -> None:
        self._env = env
        self._renamed = renamed
        #: The first of each variable, by its name here.
        self._problems: dict[str, Problem] = {}
        #: Value -> its purpose and variable.
        self._purposes: dict[str, tuple[str, str]] = {}

    @property
    def problems(self) -> list[Problem]:
        """Everything found so far, at most one of each variable."""
        return list(self._problems.values())

    @property
    def is_dyno(self) -> bool:
        """Tell whether this is a Heroku dyno.

        References:
            https://devcenter.heroku.com/articles/dynos#local-environment-variables
        """
        return "DYNO" in self._env

    def name(self, variable: str) -> str:
        """Give the name that a variable has here."""
        return str(self._renamed.get(variable, variable))

    def add(self, variable: str, message: str) -> None:
        """Note a fault of a variable."""
        name = self.name(variable)
        self._problems.setdefault(name, Problem(name, message))

    def text(
        self, variable: str, fault_of: Callable[[str], str | None] | None = None
    ) -> str:
        """Read a variable; blank counts as unset and is ""."""
        value = self._raw(variable)
        if not value.strip():
            return ""
        fault = _general_fault(value)
        if fault is None and fault_of is not None:
            fault = fault_of(value)
        if fault is not None:
            self.add(variable, fault)
        return value

    def secret(
        self,
        variable: str,
        purpose: str = "",
        *,
        is_list: bool = False,
        is_sent: bool = False,
    ) -> tuple[str, ...]:
        """Read a secret, or a comma-separated list of them; empty where unset.

        Args:
            variable: The bridge's name of it.
            purpose: What it is for, the same for all variables that may share a value.
            is_list: Whether several may be given while one replaces another.
            is_sent: Whether it travels in an HTTP header.
        """
        text = self.text(variable)
        if text != text.strip():
            self.add(variable, "has blanks around it")
        whole = text.strip()
        parts = whole.split(",") if is_list else [whole]
        values = tuple(one.strip() for one in parts if one.strip())
        for value in values:
            self._check_secret(variable, value, purpose or variable, is_sent=is_sent)
        return values

    def number(self, variable: str, default: int, low: int, high: int) -> int:
        """Read a whole number within limits."""
        text = self.text(variable).strip()
        if not text:
            return default
        if re.fullmatch(r"[0-9]{1,5}", text) and low <= int(text) <= high:
            return int(text)
        self.add(variable, f"must be a number from {low} to {high}")
        return default

    def choice(self, variable: str, *allowed: str) -> str:
        """Read one of some words, in any case; the first is the default."""
        text = self.text(variable).strip() or allowed[0]
        found = next((one for one in allowed if one.lower() == text.lower()), None)
        if found is None:
            self.add(variable, f"must be one of {', '.join(filter(None, allowed))}")
        return found or allowed[0]

    def database_url(self) -> str:
        """Read where the database is."""
        url = self.text("DATABASE_URL", database_fault).strip()
        accepts = self.choice("BRIDGE_EPHEMERAL_DISK", "", "accept") == "accept"
        is_file = not url or url.lower().startswith("sqlite")
        if self.is_dyno and is_file and not accepts:
            self.add(
                "DATABASE_URL",
                "a dyno loses its files at each restart: add Heroku Postgres, or set "
                f"{self.name('BRIDGE_EPHEMERAL_DISK')}=accept",
            )
        return url or "sqlite:///bridge.db"

    def _raw(self, variable: str) -> str:
        name = self.name(variable)
        value, file = self._env.get(name, ""), self._env.get(f"{name}_FILE", "")
        if not file.strip():
            return value
        if value.strip():
            self.add(variable, f"is set, and {name}_FILE too: set only one of them")
            return value
        try:
            return Path(file.strip()).read_text(encoding="utf-8-sig").rstrip("\r\n")
        except OSError as error:
            fault = f"its file cannot be read: {error.strerror}"
        except ValueError:
            fault = "its file is not UTF-8 text"
        self._problems[f"{name}_FILE"] = Problem(f"{name}_FILE", fault)
        return ""

    def _check_secret(
        self, variable: str, value: str, purpose: str, *, is_sent: bool
    ) -> None:
        if len(value) < LEAST_SECRET:
            self.add(variable, f"is too short: at least {LEAST_SECRET} characters")
        fault = header_fault(value) if is_sent else None
        if fault is not None:
            self.add(variable, fault)
        other, known = self._purposes.setdefault(value, (purpose, variable))
        if other != purpose:
            self.add(
                variable,
                f"has the same value as {self.name(known)}: use another secret for "
                "each purpose",
            )


def _general_fault(value: str) -> str | None:
    """Find what a shell or a file of variables left in a value."""
    text = value.strip()
    try:
        # Python reads each byte that is no text as half a character.
        value.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return "begins or ends with a quote: write the value without quotes"
    if "${" in text:
        return "has ${…} in it that nothing has replaced: write the value itself"
    return None
