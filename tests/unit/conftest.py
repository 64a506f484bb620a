"""Servers, and clients for them."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.http import Http
from tests.servers import Script, Server


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Server]]:
    servers: list[Server] = []

    def start(script: Script) -> Server:
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def http(serve: Callable[[Script], Server]) -> Iterator[Callable[..., Http]]:
    del serve  # servers stop when the connections to them are closed, not before
    with ExitStack() as stack:

        def make(timeout: float = 20, **options: Any) -> Http:
            made = Http(timedelta(seconds=timeout), **options)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    made, key = folder / "cert.pem", folder / "key.pem"
    options = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(made), "-keyout", str(key)]
    command = [openssl, *options.split(), *subject, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return made, key


@pytest.fixture
def over_tls(certificate: tuple[Path, Path]) -> Callable[[Script], Script]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)

    def wrap(script: Script) -> Script:
        def wrapped(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as secure:
                script(secure)

        return wrapped

    return wrap
