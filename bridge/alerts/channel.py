"""The one outgoing webhook for alerts: JSON that Slack and its likes understand."""

import json
from datetime import timedelta
from html import escape

from bridge.errors import TransportError
from bridge.http import Http, prepare, with_body

#: The whole call; nobody waits for it but the thread that makes it.
TIMEOUT = timedelta(seconds=10)
_HTTP_OK, _REDIRECT = 200, 300


class Channel:
    """Says something to people.

    Args:
        url: Where to; it is a secret.
    """

    def __init__(self, url: str) -> None:
        self._http = Http(TIMEOUT, pool=1)
        headers = {"Content-Type": "application/json", "User-Agent": "reward-bridge"}
        self._request = prepare("POST", url, headers)

    def say(self, text: str) -> str | None:
        """Say it.

        Returns:
            None once it is taken, else why it is not.

        References:
            https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/
        """
        # Slack reads these three characters as mark-up.
        body = json.dumps({"text": escape(text, quote=False)}).encode()
        try:
            reply = self._http.call(with_body(self._request, body))
        except TransportError as error:
            return error.reason
        is_taken = _HTTP_OK <= reply.status < _REDIRECT
        return None if is_taken else f"status {reply.status}"
