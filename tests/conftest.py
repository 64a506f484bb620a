import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from bridge.store import open_store
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

#: Folders of the tests that start whole programs, and wait for them.
WAITING = ("e2e", "faults")
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


def pytest_configure() -> None:
    """Listen to Ctrl-C, so that what tests start does.

    A shell starts what it runs in the background with Ctrl-C ignored, and that is
    inherited.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the files that mostly wait with those that mostly compute.

    Several are run at a time, each by a process of its own: so neither sort is left to
    the end, when half of the machine would have nothing to do.
    """
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    waiting = [path for path in files if path.parent.name in WAITING]
    computing = [path for path in files if path not in waiting]
    place = {
        path: number / len(sort)
        for sort in (waiting, computing)
        for number, path in enumerate(sort)
    }
    items[:] = [
        item for path in sorted(place, key=place.__getitem__) for item in files[path]
    ]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied: making them takes much longer."""
    path = tmp_path_factory.mktemp("empty") / "bridge.db"
    with closing(open_store(f"sqlite:///{path}")) as store:
        store.migrate()
    return path


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


@pytest.fixture
def eventually() -> Callable[..., None]:
    """Wait for a condition, not for a duration."""

    def eventually(is_so: Callable[[], object], seconds: float = 60) -> None:
        until = time.monotonic() + seconds
        while not is_so():
            assert time.monotonic() < until, "it did not become so in time"
            time.sleep(0.02)

    return eventually
