from collections.abc import Iterator

import pytest

from tests.product.conftest import postgres, program, pytest_runtest_makereport
from tests.product.program import Program
from tests.torture.busy import BusyIterable

__all__ = ["postgres", "program", "pytest_runtest_makereport"]


@pytest.fixture
def iterable(program: Program) -> Iterator[BusyIterable]:
    """Iterable's part for the program, for tens of thousands of messages."""
    busy = BusyIterable()
    program.iterable = busy
    program.env["ITERABLE_BASE_URL"] = busy.url
    yield busy
    busy.stop()
