"""`/healthz`, `/readyz` and `/metrics`."""

import pytest

from bridge.config import Metrics
from bridge.model import route_circuit
from bridge.store import circuits
from bridge.web import create_status_app
from bridge.web.status import Readiness
from tests.web.conftest import HOOK, Application, Start, body_of

pytestmark = pytest.mark.integration


def test_readyz_tells_how_the_queue_is(web: Application) -> None:
    web.post(body_of())
    content = web.client.get("/readyz").get_json()
    assert content["status"] == "ready"
    assert content["depth"] == 1
    assert content["workers"] == 0
    assert "no worker is running" in content["warning"]


def test_readyz_names_no_route_to_strangers(start: Start) -> None:
    web = start(metrics=Metrics(token="t0ken-1", is_open=False))
    with web.bridge.store.write() as tx:
        circuits.pause(tx, route_circuit("rewards"), "by hand")
    assert web.client.get("/readyz").get_json()["stopped"] == 1
    shown = {"Authorization": "Bearer t0ken-1"}
    stopped = web.client.get("/readyz", headers=shown).get_json()["stopped"]
    assert stopped == {"route:rewards": "paused"}


def test_readyz_fails_when_nothing_can_be_written(
    web: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    with web.bridge.store.write() as tx:
        tx.connection.exec_driver_sql("PRAGMA max_page_count = 1")
        tx.connection.exec_driver_sql(
            "CREATE TRIGGER full BEFORE INSERT ON leases "
            "BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    answer = web.client.get("/readyz")
    assert answer.status_code == 503
    assert "ledger" in answer.get_json()["detail"]
    assert web.failures == 0
    assert not web.logged("request.rejected")
    monkeypatch.setattr(web.bridge.store, "is_current", lambda: False)
    assert "migrate" in str(Readiness(web.bridge.store).check())


@pytest.mark.parametrize(
    ("token", "is_open", "sent", "status"),
    [
        ("", True, "", 200),
        ("", False, "Bearer ", 403),
        ("t0ken-1", True, "", 401),
        ("t0ken-1", True, "Bearer wrong", 401),
        ("t0ken-1", False, "Basic t0ken-1", 401),
        ("t0ken-1", False, "bearer t0ken-1", 200),
    ],
)
def test_who_may_see_the_metrics(
    start: Start, token: str, sent: str, status: int, *, is_open: bool
) -> None:
    web = start(metrics=Metrics(token=token, is_open=is_open))
    answer = web.client.get("/metrics", headers={"Authorization": sent})
    assert answer.status_code == status


def test_the_status_application_receives_nothing(web: Application) -> None:
    client = create_status_app(web.bridge).test_client()
    assert client.get("/readyz").status_code == 200
    assert client.post(HOOK, data=body_of()).status_code == 404
