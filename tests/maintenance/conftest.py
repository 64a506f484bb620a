"""A SQLite ledger with its factories, as in `tests/store`; a small configuration."""

from datetime import timedelta
from pathlib import Path

import pytest

from bridge.config import Config
from bridge.config.settings import (
    Alerts,
    DestinationConfig,
    Log,
    Match,
    Metrics,
    Retention,
    Retry,
    Route,
    Verify,
)
from tests.store.conftest import (
    another_store,
    bring,
    claim,
    clock,
    empty_ledger,
    fill,
    result_of,
    store,
    tick,
)

__all__ = [
    "another_store",
    "bring",
    "claim",
    "clock",
    "empty_ledger",
    "fill",
    "result_of",
    "store",
    "tick",
]

BOTH = Retention(redact_after=timedelta(days=30), delete_after=timedelta(days=90))


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'bridge.db'}"


@pytest.fixture
def config(tmp_path: Path, database_url: str) -> Config:
    iterable = DestinationConfig(
        name="iterable",
        kind="iterable",
        base_url="https://api.iterable.com",
        timeout=timedelta(seconds=15),
        rate_per_second=50,
        verify=Verify(after=timedelta(minutes=1), rate_per_second=3),
    )
    route = Route(
        name="r",
        source="voucherify",
        match=Match(),
        recipient=("source_id",),
        destination="iterable",
        endpoint="email/target",
        template="triggered_email.json.j2",
    )
    return Config(
        path=tmp_path / "config.yaml",
        sources={},
        destinations={"iterable": iterable},
        routes=(route,),
        retry=Retry(max_age=timedelta(days=1)),
        retention=BOTH,
        alerts=Alerts(
            held=5,
            dead=5,
            max_queue_age=timedelta(minutes=15),
            consecutive_webhook_failures=3,
            parked=0,
            ignored_growth=100,
        ),
        log=Log(level="INFO", format="json"),
        metrics=Metrics(is_open=False),
        max_body_bytes=1_000_000,
        templates=tmp_path,
        database_url=database_url,
        port=8080,
        proxies=0,
        processes=1,
    )
