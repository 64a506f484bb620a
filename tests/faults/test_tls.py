"""Certificates that must not be trusted: nothing is said over such a connection."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme

from tests.e2e.program import Program, envelope, wait_for
from tests.faults.guarantees import OK
from tests.servers import Server, read_request

pytestmark = pytest.mark.e2e

#: In place of the package that knows whom to trust; the program has no setting for it.
MODULE = "def where():\n    return {path!r}\n"
YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture
def authority(program: Program) -> trustme.CA:
    """An authority the program trusts, and no other."""
    made = trustme.CA()
    folder = program.folder / "trust" / "certifi"
    folder.mkdir(parents=True)
    bundle = folder / "ca.pem"
    made.cert_pem.write_to_path(str(bundle))
    module = MODULE.format(path=str(bundle))
    (folder / "__init__.py").write_text(module, encoding="utf-8")
    program.env["PYTHONPATH"] = str(folder.parent)
    return made


@contextmanager
def iterable(program: Program, certificate: trustme.LeafCert) -> Iterator[list[bytes]]:
    """Play Iterable behind a certificate; what it hears is listed."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    heard: list[bytes] = []

    def script(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            while request := read_request(secure):
                heard.append(request)
                secure.sendall(OK)

    server = Server(script)
    program.env["ITERABLE_BASE_URL"] = f"https://localhost:{server.port}"
    try:
        yield heard
    finally:
        if program.process is not None:
            program.kill()
        server.stop()


def test_a_good_certificate_carries_the_message(
    program: Program, authority: trustme.CA
) -> None:
    with iterable(program, authority.issue_cert("localhost")) as heard:
        program.start()
        program.post(envelope(1))
        wait_for(lambda: program.statuses() == {"accepted": 1})
        assert len(heard) == 1


@pytest.mark.parametrize("fault", ["expired", "wrong host", "nobody's"])
def test_a_bad_certificate_hears_nothing(
    program: Program, authority: trustme.CA, fault: str
) -> None:
    certificate = {
        "expired": lambda: authority.issue_cert("localhost", not_after=YESTERDAY),
        "wrong host": lambda: authority.issue_cert("iterable.example"),
        "nobody's": lambda: trustme.CA().issue_cert("localhost"),
    }[fault]()
    with iterable(program, certificate) as heard:
        program.start()
        program.post(envelope(1))
        wait_for(lambda: any(row.attempts for row in program.deliveries()))
        (row,) = program.deliveries()
        assert "certificate is not trusted" in (row.reason or "")
        assert (row.status, row.doubts) == ("pending", 0)
        assert heard == []
