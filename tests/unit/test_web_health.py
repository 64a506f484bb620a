import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from bridge.store import Presence, Store, open_store
from bridge.web import answers, health


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store(f"sqlite:///{tmp_path / 'bridge.db'}")
    yield store
    store.close()


@pytest.fixture
def client(store: Store) -> FlaskClient:
    app = Flask("health")
    answers.install(app)
    app.register_blueprint(health.checks(store))
    return app.test_client()


def test_a_process_is_alive_whatever_the_store_does(client: FlaskClient) -> None:
    assert client.get("/healthz").status_code == 200


def test_a_store_without_tables_is_not_ready(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "migrate" in json.loads(answer.data)["detail"]


def test_a_store_that_does_not_answer_is_not_ready(
    client: FlaskClient, tmp_path: Path
) -> None:
    (tmp_path / "bridge.db").mkdir()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_a_ready_store_says_how_the_queue_does(
    client: FlaskClient, store: Store
) -> None:
    store.migrate()
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert json.loads(answer.data) == {
        "status": "ready",
        "oldest_due_seconds": None,
        "depth": 0,
        "workers": 0,
        "warning": health.NOBODY,
        "stopped": {},
        "narrowed": False,
    }


def test_a_worker_that_is_there_is_counted_until_it_leaves(
    client: FlaskClient, store: Store
) -> None:
    store.migrate()
    workers = [Presence(), Presence()]
    with store.write() as tx:
        for worker in workers:
            worker.keep(tx)
    answer = json.loads(client.get("/readyz").data)
    assert answer["workers"] == 2
    assert "warning" not in answer
    with store.write() as tx:
        workers[0].end(tx)
    assert json.loads(client.get("/readyz").data)["workers"] == 1


def test_a_stopped_route_is_named(client: FlaskClient, store: Store) -> None:
    store.migrate()
    with store.write() as tx:
        store.gates.pause(tx, "route:rewards", "by a person")
    content = json.loads(client.get("/readyz").data)
    assert content["status"] == "ready"
    assert content["stopped"] == {"route:rewards": "paused"}
