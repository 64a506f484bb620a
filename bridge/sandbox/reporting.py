"""System webhooks of the sandbox: what becomes of a message, told to a bridge."""

import heapq
import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from threading import Condition, Thread
from typing import NamedTuple
from uuid import uuid4

from bridge.errors import TransportError
from bridge.http import Http, prepare, with_body
from bridge.model import Json
from bridge.sandbox.calls import Call
from bridge.sandbox.project import Project

#: What may become of a message that was accepted; any other word is the reason for
#: which it is skipped.
SENT, BOUNCED, COMPLAINED, NOTHING = "sent", "bounced", "complained", "nothing"
#: Seconds from a message's time to the news of it: Iterable has work to do between,
#: and the answer to the call comes first.
LATER = 0.2
_TIMEOUT = timedelta(seconds=5)
#: How often one is told that is not answered 2xx, and the seconds between.
_TRIES, _PAUSE = 5, 0.5
_OK = range(200, 300)


class _Letter(NamedTuple):
    """One webhook on its way; sorts by its time."""

    #: In seconds since 1970.
    at: float
    number: int
    body: bytes
    tries: int


class Reporter:
    """Tells one bridge, in a thread of its own, in the order of time.

    Args:
        url: The bridge's door for system webhooks.
        secret: Shown in `Authorization`.
        project: Knows the users.
    """

    def __init__(self, url: str, secret: str, project: Project) -> None:
        headers = {
            "Authorization": f"Bearer {secret}",
            "Content-Type": "application/json",
        }
        self._request = prepare("POST", url, headers)
        self._project = project
        self._http = Http(_TIMEOUT)
        self._numbers = count()
        self._letters: list[_Letter] = []
        self._changed = Condition()
        self._is_over = False
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def accepted(self, call: Call, due: float, becomes: str) -> None:
        """Have it told what becomes of a message.

        Args:
            call: That sent it.
            due: When it goes out, in seconds since 1970.
            becomes: `sent`, `bounced`, `complained`, `nothing`, or why it is skipped.
        """
        for content in _contents(call, due, becomes, self._project):
            body = json.dumps(content).encode()
            self._post(_Letter(due + LATER, next(self._numbers), body, 1))

    def stop(self) -> None:
        """Tell nothing more."""
        with self._changed:
            self._is_over = True
            self._changed.notify()
        self._thread.join()
        self._http.close()

    def _post(self, letter: _Letter) -> None:
        with self._changed:
            heapq.heappush(self._letters, letter)
            self._changed.notify()

    def _run(self) -> None:
        while (letter := self._next()) is not None:
            try:
                reply = self._http.call(with_body(self._request, letter.body))
                is_told = reply.status in _OK
            except TransportError:
                is_told = False
            if not is_told and letter.tries < _TRIES:
                at = time.time() + _PAUSE
                self._post(letter._replace(at=at, tries=letter.tries + 1))

    def _next(self) -> _Letter | None:
        """Wait for the next whose time has come; None at the end."""
        with self._changed:
            while not self._is_over:
                if not self._letters:
                    self._changed.wait()
                    continue
                wait = self._letters[0].at - time.time()
                if wait <= 0:
                    return heapq.heappop(self._letters)
                self._changed.wait(wait)
        return None


def _contents(
    call: Call, due: float, becomes: str, project: Project
) -> Iterator[dict[str, Json]]:
    """Write what Iterable would: first of all that the message is sent, or skipped."""
    medium = call.path.split("/")[2]
    body: Mapping[str, Json] = call.document if isinstance(call.document, dict) else {}
    email, user_id = body.get("recipientEmail"), body.get("recipientUserId")
    if email is None and user_id is not None:
        email = project.address(user_id)
    elif email is not None:
        user_id = project.user_id(email)
    fields: dict[str, Json] = {
        "createdAt": f"{datetime.fromtimestamp(due, UTC):%Y-%m-%d %H:%M:%S} +00:00",
        "campaignId": call.campaign,
        "email": email,
    }
    if medium != "sms":
        fields["messageId"] = uuid4().hex
    envelope = {"email": email, "userId": user_id}
    repeated = {"transactionalData": body.get("dataFields") or {}}
    if becomes in (SENT, BOUNCED, COMPLAINED):
        told = fields | repeated
        yield envelope | {"eventName": f"{medium}Send", "dataFields": told}
    if becomes == BOUNCED:
        told = fields | {"recipientState": "HardBounce"}
        yield envelope | {"eventName": f"{medium}Bounce", "dataFields": told}
    if becomes == COMPLAINED:
        told = fields | {"recipientState": "Complaint"}
        yield envelope | {"eventName": f"{medium}Complaint", "dataFields": told}
    if becomes not in (SENT, BOUNCED, COMPLAINED, NOTHING):
        # A skip repeats nothing of what was sent.
        told = fields | {"reason": becomes}
        yield {"email": email, "eventName": f"{medium}SendSkip", "dataFields": told}
