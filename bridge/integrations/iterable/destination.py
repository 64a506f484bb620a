"""Iterable as a destination: one send, and the questions about key and campaign."""

import re
from collections.abc import Mapping
from dataclasses import replace

from bridge.config import DestinationConfig, Route, is_loopback
from bridge.errors import RecipientError, TransportError
from bridge.http import HttpClient, Reply
from bridge.integrations import PayloadCheck, Verification
from bridge.integrations.iterable import payloads
from bridge.integrations.iterable.responses import classify, read
from bridge.integrations.iterable.sent_messages import SentMessages, not_an_answer
from bridge.model import Classification, FailureScope, Json, Outcome, Recipient

#: Iterable's own limit, in characters.
MAX_USER_ID = 52
#: On every answer of one of our sandboxes.
SANDBOX_HEADER = "x-reward-bridge-sandbox"

_PRINTABLE_ASCII = re.compile(r"[ -~]+")
#: Iterable gives profiles without an address one of these; it never receives mail.
_NO_MAIL = "@placeholder.email"
_NO_KEY, _FORBIDDEN = 401, 403
#: A list of 1,000 sent messages is the longest answer.
MAX_REPLY_BYTES = 1024 * 1024
_ANY_CAMPAIGN = "/api/campaigns?page=1&pageSize=1"


class IterableDestination:
    """Iterable's API as far as the bridge needs it; safe to share between greenlets.

    Args:
        config: Where it is, and the key.
        http: Makes the calls.
    """

    def __init__(self, config: DestinationConfig, http: HttpClient) -> None:
        self.name = config.name
        self.config = config
        self.verification: Verification | None = SentMessages(self._get)
        self._http = http
        self._key_name = config.variables.get("api_key", "the API key")
        self._headers = {
            "Api-Key": config.secret("api_key"),
            "Accept": "application/json",
        }

    def check_recipient(self, recipient: Recipient) -> None:
        """Raise `RecipientError` for a name Iterable would reject, or never write to.

        References:
            Iterable's API documentation, `recipientUserId` of `POST /api/email/target`.
        """
        user_id, email = recipient.user_id, recipient.email
        if email is not None and email.lower().endswith(_NO_MAIL):
            raise RecipientError(
                "the e-mail address is a placeholder that receives no mail"
            )
        if user_id is None:
            return
        if len(user_id) > MAX_USER_ID:
            raise RecipientError(f"the user id has more than {MAX_USER_ID} characters")
        if _PRINTABLE_ASCII.fullmatch(user_id) is None:
            raise RecipientError("the user id has characters beyond printable ASCII")
        if user_id.endswith(" "):
            raise RecipientError("the user id ends in a blank")

    def check_payload(
        self, route: Route, endpoint: str, document: Json, recipient: Recipient
    ) -> PayloadCheck:
        """Judge a rendered document; raises `ValueError` with the reason in words."""
        return payloads.check(route, endpoint, document, recipient)

    def is_idempotent(self, endpoint: str) -> bool:  # noqa: ARG002
        """Tell whether an unknown outcome may simply be sent again: no `target` may."""
        return False

    def send(self, endpoint: str, body: bytes) -> Outcome:
        """Post a payload once."""
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            reply = self._call("POST", f"/api/{endpoint}", headers, body)
        except TransportError as error:
            return classify(None, error, is_send=True)
        return classify(reply, is_send=True, key_name=self._key_name)

    def probe(self, route: Route | None) -> Outcome:
        """Ask whether the key is good, and the route's campaign fit to send.

        A campaign that exists and cannot send is a `CONFIG` outcome.
        """
        campaign_id = None if route is None else route.campaign_id
        outcome, campaign = self._ask(campaign_id)
        if outcome.classification is not Classification.SUCCESS or campaign_id is None:
            return outcome
        problem = _problem(campaign)
        if problem is None:
            return outcome
        return replace(
            outcome,
            classification=Classification.CONFIG,
            reason=f"campaign {campaign_id} {problem}",
            scope=FailureScope.ROUTE,
        )

    def check(self, route: Route) -> str | None:
        """Ask whether a route would work: None, or the problem with its fix."""
        outcome, campaign = self._ask(route.campaign_id)
        if outcome.status in (_NO_KEY, _FORBIDDEN):
            return f"Iterable rejects {self._key_name} (kind, project or data center)"
        if outcome.scope is FailureScope.ROUTE:
            return "there is no such campaign in this Iterable project"
        if outcome.classification is not Classification.SUCCESS:
            return f"Iterable cannot be asked: {outcome.reason}"
        if route.campaign_id is None:
            return None
        problem = _problem(campaign) or _medium_problem(campaign, route.endpoint)
        return None if problem is None else f"the campaign {problem}"

    def is_sandbox(self) -> bool:
        """Tell whether the base URL is one of our own sandboxes (it says so)."""
        if not is_loopback(self.config.base_url):
            return False
        try:
            reply = self._call("GET", _ANY_CAMPAIGN, self._headers, None)
        except TransportError:
            return False
        return SANDBOX_HEADER in reply.headers

    def _ask(self, campaign_id: int | None) -> tuple[Outcome, Mapping[str, Json]]:
        """Ask for one campaign, or for any; the second value is it, or empty."""
        path = _ANY_CAMPAIGN
        if campaign_id is not None:
            path = f"/api/campaigns/{campaign_id}"
        reply = self._get(path)
        if isinstance(reply, Outcome):
            return reply, {}
        outcome = classify(reply, is_send=False, key_name=self._key_name)
        # Good enough for a send that was accepted, but not for a question.
        if outcome.is_unexpected:
            return not_an_answer(outcome), {}
        return outcome, read(reply).document

    def _get(self, path: str) -> Reply | Outcome:
        try:
            return self._call("GET", path, self._headers, None)
        except TransportError as error:
            return classify(None, error, is_send=False)

    def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Reply:
        return self._http.call(
            method,
            f"{self.config.base_url}{path}",
            headers=headers,
            body=body,
            timeout=self.config.timeout,
            max_reply_bytes=MAX_REPLY_BYTES,
        )


def _problem(campaign: Mapping[str, Json]) -> str | None:
    """Say why a campaign cannot send, whatever the medium."""
    if campaign.get("type") != "Triggered":
        return "is not a triggered campaign: choose one of type Triggered"
    if campaign.get("campaignState") != "Running":
        return "is not running: activate it"
    return None


def _medium_problem(campaign: Mapping[str, Json], endpoint: str) -> str | None:
    medium = str(campaign.get("messageMedium")).lower()
    is_same = medium == endpoint.removesuffix("/target").lower()
    return None if is_same else "has another medium than the endpoint"
