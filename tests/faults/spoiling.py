"""Spoilt copies of the program, to see that the checks notice."""

import shutil
from pathlib import Path

from tests.e2e.program import ROOT, Program


def spoil(program: Program, *changes: tuple[str, str, str]) -> None:
    """Let an installation run on a copy of the package with changes.

    Args:
        program: Not started.
        changes: File below `bridge/`, what stands there exactly once, what shall
            stand there instead.
    """
    copy = program.folder / "spoilt"
    shutil.copytree(
        ROOT / "bridge", copy / "bridge", ignore=shutil.ignore_patterns("__pycache__")
    )
    # As in an installed package.
    (copy / "bridge" / "_data").mkdir()
    for name in ("samples", "templates", "config.example.yaml"):
        (copy / "bridge" / "_data" / name).symlink_to(ROOT / name)
    for file, before, after in changes:
        _replace(copy / "bridge" / file, before, after)
    program.env["PYTHONPATH"] = str(copy)


def _replace(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, f"{path.name} has changed: spoil it another way"
    path.write_text(text.replace(before, after), encoding="utf-8")
