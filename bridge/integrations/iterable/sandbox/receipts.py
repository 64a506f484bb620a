"""The sandbox's system webhooks: what became of a message, posted to a bridge."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock, Timer
from uuid import uuid4

from bridge.errors import TransportError
from bridge.http import HttpClient
from bridge.integrations import SandboxReceipts
from bridge.integrations.iterable.sandbox.calls import Call
from bridge.integrations.iterable.sandbox.project import address_of
from bridge.model import Json

#: What may become of a message that was accepted; any other word is the reason for
#: which it is skipped.
SENT, BOUNCED, COMPLAINED, NOTHING = "sent", "bounced", "complained", "nothing"
#: Seconds from a message's time to its receipt: Iterable has work to do between, and
#: the answer to the call comes first.
DELAY = 0.2
#: What follows a message that was sent, and its `recipientState`.
_RETURNS = {BOUNCED: ("Bounce", "HardBounce"), COMPLAINED: ("Complaint", "Complaint")}
_TIMEOUT = timedelta(seconds=5)
#: How often a receipt is posted until it is answered 2xx, and the seconds between.
_TRIES, _PAUSE = 5, 0.5


class ReceiptSender:
    """Posts receipts to one bridge, each from a timer.

    Args:
        target: Where, and the secret in `Authorization`.
    """

    def __init__(self, target: SandboxReceipts) -> None:
        self._url = target.url
        self._headers = {
            "Authorization": f"Bearer {target.secret}",
            "Content-Type": "application/json",
        }
        self._http = HttpClient()
        self._timers: set[Timer] = set()
        self._lock = Lock()
        self._is_closed = False

    def accepted(self, call: Call, due: float, outcome: str) -> None:
        """Have a receipt posted.

        Args:
            call: What sent the message.
            due: When it goes out, in seconds since 1970.
            outcome: `sent`, `bounced`, `complained`, `nothing`, or why it is skipped.
        """
        if outcome != NOTHING:
            contents = list(_contents(call, due, outcome))
            self._start(due - call.at + DELAY, contents, _TRIES)

    def close(self) -> None:
        """Post nothing more."""
        with self._lock:
            self._is_closed = True
            timers, self._timers = self._timers, set()
        for timer in timers:
            timer.cancel()
        for timer in timers:
            timer.join()
        self._http.close()

    def _start(self, wait: float, contents: list[Json], tries: int) -> None:
        timer = Timer(wait, self._post, (contents, tries))
        timer.daemon = True
        with self._lock:
            if not self._is_closed:
                self._timers = {one for one in self._timers if one.is_alive()} | {timer}
                timer.start()

    def _post(self, contents: list[Json], tries: int) -> None:
        """Post in order; the first that is not answered 2xx holds up the rest."""
        while contents and self._is_taken(contents[0]):
            contents, tries = contents[1:], _TRIES
        if contents and tries > 1:
            self._start(_PAUSE, contents, tries - 1)

    def _is_taken(self, content: Json) -> bool:
        body = json.dumps(content).encode()
        try:
            reply = self._http.call(
                "POST", self._url, headers=self._headers, body=body, timeout=_TIMEOUT
            )
        except TransportError:
            return False
        return reply.status in range(200, 300)


def _contents(call: Call, due: float, outcome: str) -> Iterator[dict[str, Json]]:
    """Write what Iterable would: first of all that the message is sent, or skipped."""
    medium = call.path.split("/")[2]
    body: Mapping[str, Json] = call.body if isinstance(call.body, dict) else {}
    email, user_id = body.get("recipientEmail"), body.get("recipientUserId")
    if email is None and user_id is not None:
        email = address_of(user_id)
    elif email is not None:
        user_id = None
    fields: dict[str, Json] = {
        "createdAt": f"{datetime.fromtimestamp(due, UTC):%Y-%m-%d %H:%M:%S} +00:00",
        "campaignId": call.campaign,
        "email": email,
    }
    if medium != "sms":
        fields["messageId"] = uuid4().hex
    person = {"email": email, "userId": user_id}

    def event(ending: str, **more: Json) -> dict[str, Json]:
        return {"eventName": f"{medium}{ending}", "dataFields": {**fields, **more}}

    if outcome not in (SENT, BOUNCED, COMPLAINED):
        # A skip names the address alone and repeats nothing of what was sent.
        yield {"email": email, **event("SendSkip", reason=outcome)}
        return
    repeated = body.get("dataFields") or {}
    yield {**person, **event("Send", transactionalData=repeated)}
    if outcome != SENT:
        ending, state = _RETURNS[outcome]
        yield {**person, **event(ending, recipientState=state)}
