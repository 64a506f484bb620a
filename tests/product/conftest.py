"""Fixtures of the product tests: installations of the program under test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.product.postgres import Postgres, postgres_server
from tests.product.program import Program, installed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[None]:
    """Show the program's log beside a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    if report.failed:
        for program in getattr(item, "funcargs", {}).values():
            if isinstance(program, Program):
                report.sections.append(("log of the program", program.log[-6000:]))
    return report  # type: ignore[return-value]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """An installation with one route for everything; not started."""
    with installed(tmp_path) as program:
        yield program


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A running installation that the tests of a module share.

    Each test uses people and codes of its own, and leaves no rule behind.
    """
    with installed(tmp_path_factory.mktemp("program")) as program:
        program.start()
        yield program


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; a skip at home where its wheel is missing."""
    with postgres_server() as server:
        yield server
