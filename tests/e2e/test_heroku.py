"""Procfile and app.json as Heroku reads them; honcho runs what they name."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from honcho.environ import parse_procfile

from bridge.config.environment import VARIABLES
from bridge.store import open_store
from bridge.voucherify import sign
from tests.e2e.fleet import Fleet
from tests.e2e.program import HOOK, ROOT, SECRET, envelope, wait_for
from tests.postgres import Postgres

pytestmark = pytest.mark.e2e

APP = json.loads((ROOT / "app.json").read_text(encoding="utf-8"))
PROCESSES = parse_procfile((ROOT / "Procfile").read_text(encoding="utf-8")).processes
#: Set by Heroku and by its add-on; app.json must not.
GIVEN = {"PORT", "DATABASE_URL"}


def test_every_variable_is_described_and_required_or_not() -> None:
    own = {"BRIDGE_CONFIG"}
    assert set(APP["env"]) == (set(VARIABLES) | own) - GIVEN
    for entry in APP["env"].values():
        assert entry["description"]
        assert isinstance(entry["required"], bool)


def test_secrets_that_only_the_bridge_knows_are_made_by_the_platform() -> None:
    made = {name for name, one in APP["env"].items() if one.get("generator")}
    assert made == {"BRIDGE_INBOUND_TOKEN", "BRIDGE_CONSOLE_PASSWORD"}


def test_the_formation_names_processes_of_the_procfile() -> None:
    assert set(APP["formation"]) <= set(PROCESSES)
    assert set(PROCESSES) == {"release", "web", "worker"}
    # A dyno that sleeps delivers nothing.
    assert {one["size"] for one in APP["formation"].values()} == {"basic"}
    assert [one["plan"] for one in APP["addons"]] == ["heroku-postgresql:essential-0"]


@pytest.fixture
def dyno(fleet: Fleet, postgres: Postgres) -> dict[str, str]:
    """The environment that a dyno would have, its database still empty."""
    scripts = Path(sys.executable).parent
    database_url = postgres.new_database()
    return fleet.env | {
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "DATABASE_URL": database_url.replace("postgresql://", "postgres://"),
        "DYNO": "web.1",
        "WEB_CONCURRENCY": "1",
        "BRIDGE_CONFIG": str(fleet.folder / "config.yaml"),
    }


def honcho(dyno: dict[str, str], log: Path, *names: str) -> subprocess.Popen[bytes]:
    base = ["honcho", "-f", str(ROOT / "Procfile"), "-d", str(log.parent)]
    with log.open("wb") as file:
        return subprocess.Popen(
            [*base, "start", *names],
            env=dyno,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )


def ready(port: int) -> dict[str, Any]:
    try:
        found = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=60).json()
    except requests.RequestException:
        return {}
    return dict(found)


def connections(url: str) -> int:
    """Count what the program has open at a database, beside this one."""
    with closing(open_store(url)) as store, store.read() as tx:
        found = tx.connection.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'reward-bridge' AND pid <> pg_backend_pid()"
        )
        return int(found.scalar_one())


def test_honcho_runs_the_procfile_from_webhook_to_message(
    fleet: Fleet, dyno: dict[str, str], free_port: int
) -> None:
    release = honcho(dyno, fleet.folder / "release.log", "release")
    assert release.wait(60) == 0
    dyno["PORT"] = str(free_port)
    log = fleet.folder / "honcho.log"
    running = honcho(dyno, log, "web", "worker")
    try:
        wait_for(lambda: ready(free_port).get("workers") == 2, seconds=60)
        body = envelope(1)
        headers = {"x-voucherify-signature": sign(body, SECRET)}
        url = f"http://127.0.0.1:{free_port}{HOOK}"
        assert requests.post(url, data=body, headers=headers).status_code == 202
        wait_for(lambda: fleet.told()["crm-1"] == 1)
        # One of the receiving process, two of each delivering one, as the README says.
        wait_for(lambda: connections(dyno["DATABASE_URL"]) == 1 + 2 + 2)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(40)
    assert "Traceback" not in log.read_text()


def test_a_worker_scaled_to_zero_is_told_by_readiness(fleet: Fleet) -> None:
    receiver = fleet.serve()
    port = receiver.listener.getsockname()[1]
    wait_for(lambda: ready(port))
    assert ready(port)["workers"] == 0
    assert "nobody delivers" in ready(port)["warning"]
