"""Commands of the bridge, each in a process of its own that need not import it.

The import takes most of a second of a processor, and these tests start hundreds of
commands. The standard library's fork server imports once: what is started there is a
process like any other, with its own session, folder, environment and descriptors.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.forkserver import ensure_running
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import IO, Any

import pytest

from bridge.cli import main

#: Seconds after which a command that should have ended is a failure.
PATIENCE = 60.0


class Process:
    """A running command, to be used as `subprocess.Popen` is."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired("reward-bridge", timeout)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


#: A command that runs: they differ in nothing that a test asks for.
Running = Process | subprocess.Popen[bytes]


def start(
    *arguments: str,
    folder: Path,
    env: Mapping[str, str],
    out: int | IO[Any],
    err: int | IO[Any],
    stdin: IO[Any] | None = None,
    keep: int | None = None,
) -> Running:
    """Start a command of the bridge in a session of its own.

    Args:
        arguments: Of the command. `FD` in them becomes the number of what is kept.
        folder: It is run in.
        env: All of its environment.
        out: Takes what it prints as data.
        err: Takes its talk.
        stdin: What it reads; nothing by default.
        keep: A descriptor it is handed.
    """
    if "PYTHONPATH" in env:
        # Another Python than the one that is ready.
        words = [_filled(one, keep) for one in arguments]
        return subprocess.Popen(
            [sys.executable, "-m", "bridge", *words],
            cwd=folder,
            env=env,
            stdin=stdin,
            stdout=out,
            stderr=err,
            pass_fds=() if keep is None else (keep,),
            start_new_session=True,
        )
    with Path(os.devnull).open("rb") as nothing:
        descriptors = [_number(one) for one in (stdin or nothing, out, err)]
        process = _server().Process(
            target=_live,
            args=(
                arguments,
                str(folder),
                dict(env),
                [_Descriptor(one) for one in descriptors],
                None if keep is None else _Descriptor(keep),
            ),
            daemon=True,  # ended, not waited for, at the end of the tests
        )
        process.start()
    return Process(process)


def run(
    *arguments: str, folder: Path, env: Mapping[str, str], stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a command of the bridge to its end, and keep its data and its talk apart."""
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as given,
        tempfile.TemporaryFile("w+", encoding="utf-8") as out,
        tempfile.TemporaryFile("w+", encoding="utf-8") as err,
    ):
        given.write(stdin)
        given.seek(0)
        process = start(
            *arguments, folder=folder, env=env, stdin=given, out=out, err=err
        )
        try:
            status = process.wait(PATIENCE)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(arguments, status, out.read(), err.read())


@dataclass(frozen=True, slots=True)
class _Descriptor:
    """Is pickled as a copy of the descriptor in the process that unpickles it."""

    number: int

    def __reduce__(self) -> Any:
        return _received, (DupFd(self.number),)


def _received(copy: Any) -> _Descriptor:
    return _Descriptor(copy.detach())


@cache
def _server() -> ForkServerContext:
    context = get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as environment:
        for name in [one for one in os.environ if one.startswith("COVERAGE_")]:
            environment.delenv(name)
        ensure_running()
    return context


def _live(
    arguments: Sequence[str],
    folder: str,
    env: Mapping[str, str],
    descriptors: Sequence[_Descriptor],
    keep: _Descriptor | None,
) -> None:
    """Be the command."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    for number, given in enumerate(descriptors):
        os.dup2(given.number, number)
        os.close(given.number)
    sys.stdin = os.fdopen(0, encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", buffering=1)
    kept = None if keep is None else keep.number
    main([_filled(one, kept) for one in arguments], prog_name="reward-bridge")


def _filled(argument: str, number: int | None) -> str:
    return argument if number is None else argument.replace("FD", str(number))


def _number(file: int | IO[Any]) -> int:
    return file if isinstance(file, int) else file.fileno()
