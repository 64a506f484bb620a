"""The commit to compare with: its files and an environment of its own, in a folder."""

import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
COMMIT = "6d63057"
INSTALL_SECONDS = 600


class BenchmarkError(Exception):
    """A program, or what the benchmark needs, did not work; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A tree of the program, and the Python that has its dependencies."""

    root: Path
    python: Path


def existing(root: Path) -> Checkout:
    """Use a checkout that has its environment in `.venv` already."""
    return Checkout(root=root.resolve(), python=root.resolve() / ".venv/bin/python")


def of_commit(commit: str, folder: Path) -> Checkout:
    """Unpack a commit and install its dependencies; the caller removes the folder."""
    root = folder / "old"
    archive = _run("git", "-C", str(ROOT), "archive", "--format=tar", commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(root, filter="data")
    checkout = existing(root)
    _run(sys.executable, "-m", "venv", str(root / ".venv"))
    _run(str(checkout.python), "-m", "pip", "install", "--quiet", str(root))
    return checkout


def installed(checkout: Checkout) -> list[str]:
    """List what is installed beside a checkout."""
    return _run(str(checkout.python), "-m", "pip", "freeze").decode().splitlines()


def _run(*command: str) -> bytes:
    try:
        return subprocess.run(
            command, check=True, capture_output=True, timeout=INSTALL_SECONDS
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        stderr = (getattr(error, "stderr", None) or b"").decode(errors="replace")
        raise BenchmarkError(f"{' '.join(command)}: {error}\n{stderr}") from error
