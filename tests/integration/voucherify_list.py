"""Voucherify's part in a reconciliation: a real server that lists publications."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

APP_ID, APP_TOKEN = "app-1", "token-1"
#: Eight publications in the form of the list, and vouchers of those no sample tells.
RECORDED = Path(__file__).with_name("recorded_publications.json").read_text("utf-8")


@dataclass
class Answer:
    """What is said to one request."""

    status: int = 200
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: In place of the document.
    body: bytes | None = None

    @property
    def bytes(self) -> bytes:
        return json.dumps(self.document).encode() if self.body is None else self.body


@dataclass
class Project:
    """A project's publications, the newest first, and what goes wrong."""

    publications: list[dict[str, Any]] = field(default_factory=list)
    vouchers: list[dict[str, Any]] = field(default_factory=list)
    #: Answers that come before the right ones, in order.
    troubles: list[Answer] = field(default_factory=list)
    #: Stands in for the list: page number and size to an answer.
    page: Callable[[int, int], Answer] | None = None
    #: Paths with their queries, as they were asked.
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str, headers: Mapping[str, str]) -> Answer:
        self.asked.append(path)
        if self.troubles:
            return self.troubles.pop(0)
        if (headers["X-App-Id"], headers["X-App-Token"]) != (APP_ID, APP_TOKEN):
            body = {"code": 401, "message": "Unauthorized", "key": "unauthorized"}
            return Answer(401, body)
        parts = urlsplit(path)
        if parts.path == "/v1/publications":
            query = parse_qs(parts.query)
            return self._list(int(query["page"][0]), int(query["limit"][0]))
        return self._voucher(parts.path.removeprefix("/v1/vouchers/"))

    def _list(self, number: int, size: int) -> Answer:
        if self.page is not None:
            return self.page(number, size)
        return listed(self.publications, number, size)

    def _voucher(self, voucher_id: str) -> Answer:
        for one in self.vouchers:
            if one["id"] == voucher_id:
                return Answer(document=one)
        body = {"code": 404, "key": "not_found", "resource_type": "voucher"}
        return Answer(404, body)


def listed(publications: Sequence[Any], number: int, size: int, **more: Any) -> Answer:
    """Answer one page as the API does."""
    page = publications[(number - 1) * size : number * size]
    document = {
        "object": "list",
        "data_ref": "publications",
        "publications": page,
        "total": len(publications),
    }
    return Answer(document=document | more)


@contextmanager
def serving(project: Project) -> Iterator[str]:
    """Play the API on loopback and give its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = project.answer(self.path, dict(self.headers))
            self.send_response(answer.status)
            headers = {"Content-Length": str(len(answer.bytes))} | dict(answer.headers)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.bytes)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def recorded() -> Project:
    """The recorded project, its publications made in the minutes before now."""
    document = json.loads(RECORDED)
    publications = document["list"]["publications"]
    for minutes, one in enumerate(publications, start=1):
        one["created_at"] = ago(minutes)
    return Project(publications=publications, vouchers=document["vouchers"])


def ago(minutes: float) -> str:
    """Write a moment as Voucherify does."""
    moment = datetime.fromtimestamp(time.time() - 60 * minutes, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def recent_webhook(path: Path) -> bytes:
    """Read a sample as if its publication had been made some minutes ago."""
    document = json.loads(path.read_text(encoding="utf-8"))
    document["data"]["publication"]["created_at"] = ago(10)
    return json.dumps(document).encode()
