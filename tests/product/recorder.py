"""Servers that play vendors for the tests: they record calls and answer as asked.

`Recorder` answers anything; `Iterable` answers as Iterable does: it takes messages and
shows them again in `getSentMessages`.
"""

import json
import socket
import struct
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

#: How an answer fails: the connection is reset, is left without an answer, or brings a
#: body without end.
Failure = Literal["reset", "hang", "endless"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server says to one call.

    Args:
        status: HTTP status.
        body: JSON value, or bytes that are sent as they are.
        headers: Beside Content-Type and Content-Length.
        delay: Seconds before the answer.
        failure: No whole answer.
        is_taken: The message is sent all the same, whatever the status says.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    failure: Failure | None = None
    is_taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call as received.

    Args:
        body: Parsed JSON, None where there is none.
        time: When it came, on the monotonic clock, in seconds.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    raw: bytes
    body: Any
    answer: Answer
    time: float = field(default_factory=time.monotonic)

    @property
    def person(self) -> str | None:
        """The recipient that a call to Iterable names."""
        body = self.body if isinstance(self.body, dict) else {}
        named = body.get("recipientUserId") or body.get("recipientEmail")
        return named or self.query.get("userId") or self.query.get("email")

    @property
    def fields(self) -> dict[str, Any]:
        """The `dataFields` of a message."""
        found: dict[str, Any] = self.body["dataFields"]
        return found


@dataclass(slots=True, kw_only=True)
class _Rule:
    matches: Callable[[Call], bool]
    answer: Answer
    times: int | None


class Recorder:
    """A server on a loopback port; its port stays the same over `stop` and `start`."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._calls: list[Call] = []
        self._changed = Condition()
        self._ended = Event()
        self._server = self._listen(0)
        self.port: int = self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def calls(self, path: str = "", *, person: str | None = None) -> list[Call]:
        """List what came, in order: below a path, about a person."""
        with self._changed:
            return [
                call
                for call in self._calls
                if call.path.startswith(path) and person in (None, call.person)
            ]

    def tell(
        self,
        answer: Answer,
        *,
        path: str = "/",
        person: str | None = None,
        campaign: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Have the next calls answered so; later rules win; `times=None`: for ever."""

        def matches(call: Call) -> bool:
            body = call.body if isinstance(call.body, dict) else {}
            return (
                call.path.startswith(path)
                and person in (None, call.person)
                and campaign in (None, body.get("campaignId"))
            )

        with self._changed:
            self._rules.insert(0, _Rule(matches=matches, answer=answer, times=times))

    def forget(self) -> None:
        """Answer everything as by default again."""
        with self._changed:
            self._rules.clear()

    def wait(self, condition: Callable[[], Any], *, seconds: float = 60) -> Any:
        """Return the first true value of a condition, looked at after each call."""
        with self._changed:
            found = self._changed.wait_for(condition, seconds)
        assert found, f"did not come true in {seconds} s; calls: {self._shown()}"
        return found

    def start(self) -> None:
        """Listen again after `stop`."""
        self._ended.clear()
        self._server = self._listen(self.port)

    def stop(self) -> None:
        """Close the port: further connections are refused."""
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()

    def default(self, call: Call) -> Answer:
        """Answer what no rule is about."""
        return Answer(body={"path": call.path})

    def _shown(self) -> str:
        shown = (f"{one.method} {one.path} {one.answer.status}" for one in self._calls)
        return "; ".join(shown) or "none"

    def _listen(self, port: int) -> "_Server":
        server = _Server(("127.0.0.1", port), _Handler)
        server.recorder = self
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    def _take(self, call: Call) -> Call:
        """Choose the answer to a call, and keep both."""
        with self._changed:
            answer = self._chosen(call)
            recorded = Call(**{**_values(call), "answer": answer})
            self._calls.append(recorded)
            self._changed.notify_all()
            return recorded

    def _chosen(self, call: Call) -> Answer:
        for rule in self._rules:
            if rule.times != 0 and rule.matches(call):
                if rule.times is not None:
                    rule.times -= 1
                return rule.answer
        return self.default(call)


class Iterable(Recorder):
    """Plays Iterable: every key, user and campaign is good unless a rule differs."""

    def messages(self, person: str | None = None) -> list[Call]:
        """List the messages that are sent to people, in order."""
        return [one for one in self.calls("/api/", person=person) if _is_sent(one)]

    def attempts(self, person: str | None = None) -> list[Call]:
        """List the calls to send a message, whatever the answer was."""
        found = self.calls("/api/", person=person)
        return [one for one in found if one.method == "POST"]

    def arrived(self, *people: str, seconds: float = 60) -> list[Call]:
        """Wait until each of these people was sent a message; give the messages."""

        def all_there() -> list[Call] | None:
            found = [one for one in self.messages() if one.person in people]
            return found if {one.person for one in found} >= set(people) else None

        found: list[Call] = self.wait(all_there, seconds=seconds)
        return found

    def counted(
        self, number: int, *, person: str | None = None, seconds: float = 60
    ) -> list[Call]:
        """Wait until at least so many messages are sent; give all of them."""

        def enough() -> list[Call] | None:
            found = self.messages(person)
            return found if len(found) >= number else None

        found: list[Call] = self.wait(enough, seconds=seconds)
        return found

    def default(self, call: Call) -> Answer:
        if call.path.startswith("/api/campaigns/"):
            number = int(call.path.rsplit("/", 1)[1])
            return Answer(body=_campaign(number))
        if call.path == "/api/campaigns":
            return Answer(body={"campaigns": [_campaign(1)]})
        if call.path == "/api/users/getSentMessages":
            sent = [one for one in self.messages(call.person) if one.method == "POST"]
            return Answer(body={"messages": [_shown(one) for one in sent]})
        return Answer(body={"msg": "sent", "code": "Success", "params": None})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    recorder: Recorder

    def handle_error(self, *_: Any) -> None:
        pass  # a client that went away is no news


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        parts = urlsplit(self.path)
        call = self.server.recorder._take(  # noqa: SLF001 - one module
            Call(
                method=self.command,
                path=parts.path,
                query={name: one[-1] for name, one in parse_qs(parts.query).items()},
                headers={name.lower(): one for name, one in self.headers.items()},
                raw=raw,
                body=_parsed(raw),
                answer=Answer(),
            )
        )
        self._say(call.answer)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _say(self, answer: Answer) -> None:
        ended = self.server.recorder._ended  # noqa: SLF001 - one module
        if answer.failure == "hang":
            ended.wait(60)
        if answer.failure in ("hang", "reset"):
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            self.connection.close()
            return
        if answer.delay:
            ended.wait(answer.delay)
        if answer.failure == "endless":
            self._drip()
            return
        is_raw = isinstance(answer.body, bytes)
        body = answer.body if is_raw else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "text/html" if is_raw else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        with suppress(OSError):
            while not self.server.recorder._ended.wait(0.05):  # noqa: SLF001
                self.wfile.write(b" ")
                self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _values(call: Call) -> dict[str, Any]:
    return {name: getattr(call, name) for name in Call.__dataclass_fields__}


def _is_sent(call: Call) -> bool:
    if call.method != "POST":
        return False
    is_ok = call.answer.status == 200 and call.answer.failure is None
    return is_ok or call.answer.is_taken


def _campaign(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Campaign {number}",
        "type": "Triggered",
        "campaignState": "Running",
        "messageMedium": "Email",
    }


def _shown(call: Call) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "messageId": f"m{id(call)}",
        "campaignId": call.body["campaignId"],
        "createdAt": f"{now:%Y-%m-%d %H:%M:%S} +00:00",
    }
