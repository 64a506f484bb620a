import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = "tests.server.small_program"


def wait_for(what: Callable[[], Any], seconds: float = 15.0) -> Any:
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "did not come true in time"
        time.sleep(0.02)
    return found


@dataclass
class Running:
    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def log(self) -> list[dict[str, Any]]:
        text = (self.folder / "log").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line[:1] == "{"]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.log if line["event"] == event]

    @property
    def address(self) -> tuple[str, int]:
        found = wait_for(lambda: self.logged("server.listening"))[0]["address"]
        host, _, port = found.rpartition(":")
        return host, int(port)

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self.address)

    def delivering_pid(self) -> int:
        path = self.folder / "delivering"
        return int(wait_for(lambda: path.exists() and path.read_text(encoding="utf-8")))

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


Start = Callable[..., Running]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the small program: `serve` by default, on a free port."""
    running = []

    def start(what: str = "serve", processes: int = 1) -> Running:
        command = [sys.executable, "-m", PROGRAM, what, str(tmp_path), "127.0.0.1:0"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, str(processes)],
                stdout=log,
                stderr=log,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "TMPDIR": str(tmp_path)},
            )
        running.append(Running(process, tmp_path))
        return running[-1]

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait(10)
