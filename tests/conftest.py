import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import QUICK, Postgres, start_postgres

# A quarter of the usual examples, drawn anew by each run; a slow machine is no failure.
settings.register_profile(
    "short",
    max_examples=25,
    deadline=None,
    derandomize=False,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("short")

SAMPLES = Path(__file__).parents[1] / "samples"
#: Variables the program reads, and that would have it measured; a developer's own must
#: not leak into a test.
OURS = (
    "ALERT_",
    "BRIDGE_",
    "COVERAGE_",
    "DATABASE_URL",
    "DYNO",
    "ITERABLE_",
    "LOG_",
    "PORT",
    "VOUCHERIFY_",
    "WEB_C",
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL for the whole session; each test makes its own database."""
    server = start_postgres(*QUICK)
    yield server
    server.remove()


def manifest() -> Iterator[dict[str, Any]]:
    """Yield the manifest's lines, one for each sample webhook."""
    lines = (SAMPLES / "voucherify" / "manifest.jsonl").read_text(encoding="utf-8")
    for line in lines.splitlines():
        entry = json.loads(line)
        if "file" in entry:
            yield entry
