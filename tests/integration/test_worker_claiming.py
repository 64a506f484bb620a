"""What workers beside each other may claim; real transactions on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bridge.config import load
from bridge.gatekeeper import Gatekeeper
from bridge.senders import Task
from bridge.store import Store, Tx
from bridge.worker.claiming import Claiming
from tests.postgres import Postgres, locks_awaited

pytestmark = pytest.mark.integration

FILE = """
iterable: {data_center: us}
routes: [{name: r, when: {}, campaign_id: 1, template: t.j2}]
"""


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    return postgres.clean_database()


@pytest.fixture
def claim(tmp_path: Path) -> Callable[[Store, Tx], list[Task]]:
    """Claim as a worker does whose store this is."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "t.j2").write_text("{}")
    (tmp_path / "config.yaml").write_text(FILE)
    config = load(tmp_path / "config.yaml", {})

    def claimed(store: Store, tx: Tx) -> list[Task]:
        worker = Claiming(config, store, Gatekeeper(config, store.gates), 8)
        return worker.claim(tx, store.gates.read(tx), 8)

    return claimed


def test_through_a_narrow_gate_one_passes_whichever_worker_has_it(
    store: Store,
    another_store: Callable[[], Store],
    fill: Callable[..., Any],
    claim: Callable[[Store, Tx], list[Task]],
    eventually: Callable[..., None],
) -> None:
    other, onlooker = another_store(), another_store()
    fill(3)
    with store.write() as tx:
        store.gates.narrow(tx, 1)

    def claim_too() -> list[Task]:
        with other.write() as theirs:
            return claim(other, theirs)

    with ThreadPoolExecutor(1) as pool:
        with store.write() as tx:
            assert len(claim(store, tx)) == 1
            second = pool.submit(claim_too)
            eventually(lambda: locks_awaited(onlooker))
        assert second.result() == []
