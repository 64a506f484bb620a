"""docs/reliability.md names tests; each of them must exist."""

import ast
import re

import pytest

from tests.conftest import SAMPLES

ROOT = SAMPLES.parent
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


def test_the_page_names_the_tests_that_defend_its_promises() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_named_by_the_page_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_every_negative_control_is_on_the_page() -> None:
    path = ROOT / "tests" / "faults" / "test_controls.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    controls = {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}
    assert controls <= {name for _, name in NAMED}
