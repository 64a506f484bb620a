"""Shared by all tests: the program's own variables are taken out of the environment."""

import os

import pytest

_PREFIXES = ("BRIDGE_", "ITERABLE_", "VOUCHERIFY_", "CLEVERTAP_", "SEGMENT_", "ALERT_")
_NAMES = ("DATABASE_URL", "PORT", "WEB_CONCURRENCY", "LOG_LEVEL", "LOG_FORMAT", "DYNO")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_PREFIXES) or name in _NAMES:
            monkeypatch.delenv(name)
