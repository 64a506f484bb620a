import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bridge.sandbox import Sandbox
from tests.e2e.fleet import Fleet, fleet_on
from tests.e2e.program import KEY, ROOT, SECRET, Program
from tests.postgres import Postgres


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """An installation whose one route takes everything; not started."""
    yield from install(tmp_path)


@pytest.fixture(scope="module")
def shared_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One for all tests of a file, which must leave it as they found it."""
    yield from install(tmp_path_factory.mktemp("program"))


@pytest.fixture
def fleet(postgres: Postgres, tmp_path: Path) -> Iterator[Fleet]:
    """A PostgreSQL with current tables, for several programs; none is started."""
    env = {"PATH": os.environ["PATH"]}
    with fleet_on(postgres.clean_database(), tmp_path, env) as fleet:
        yield fleet


@pytest.fixture
def free_port() -> int:
    """A port that was free a moment ago, for what cannot be handed a socket."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def install(folder: Path) -> Iterator[Program]:
    config = {
        "iterable": {"rate_per_second": 5000, "timeout_seconds": 5},
        "templates": str(ROOT / "templates"),
        "routes": [],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    with Sandbox(api_key=KEY) as sandbox:
        env = {
            "PATH": os.environ["PATH"],
            "ITERABLE_BASE_URL": sandbox.url,
            "ITERABLE_API_KEY": KEY,
            "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
            "LOG_FORMAT": "json",
        }
        installed = Program(folder=folder, sandbox=sandbox, env=env)
        installed.route()
        yield installed
        if installed.process is not None:
            installed.kill()
        installed.listener.close()
        installed.store.close()
