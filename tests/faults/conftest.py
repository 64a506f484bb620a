from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import install
from tests.e2e.program import Program
from tests.faults.clock import Clock


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    """An installation whose one route takes everything; not started."""
    yield from install(tmp_path)


@pytest.fixture(scope="module")
def shared_program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """One for all tests of a file, which must leave it as they found it."""
    yield from install(tmp_path_factory.mktemp("program"))


@pytest.fixture
def clock(program: Program) -> Clock:
    """The clock of a program that is not started yet."""
    return Clock(program)
