"""The calls to Iterable: one send, and the cheap questions about key and campaign."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from bridge.errors import ConfigError, Problem, TransportError
from bridge.http import Begun, Http, Reply, prepare, with_body
from bridge.iterable.answer import read
from bridge.iterable.classification import classify
from bridge.iterable.readback import PATH, SentMessages, question, sent_messages
from bridge.model import ENDPOINTS, Blame, Classification, Json, Outcome, Recipient

UNAUTHORIZED, FORBIDDEN = 401, 403

#: What is wrong with a campaign, in words for a gate's reason.
_WORDS = {
    "campaign_not_triggered": "is not a triggered campaign",
    "campaign_not_running": "is not running; activate it",
}


class Client:
    """Iterable's API as far as the bridge needs it; safe to share between threads.

    Args:
        http: Makes the calls.
        base_url: Scheme and host, no trailing slash.
        api_key: A server-side key.

    Raises:
        ConfigError: URL or key cannot be sent.
    """

    def __init__(self, http: Http, base_url: str, api_key: str) -> None:
        self._http = http
        self._base_url = base_url
        self._headers = {
            "Api-Key": api_key,
            "Accept": "application/json",
            "User-Agent": "reward-bridge",
        }
        headers = {**self._headers, "Content-Type": "application/json"}
        try:
            self._sends = {
                endpoint: prepare("POST", f"{base_url}/api/{endpoint}", headers)
                for endpoint in ENDPOINTS
            }
        except ValueError as error:
            raise ConfigError([Problem("iterable", str(error))]) from None

    def send(self, endpoint: str, body: bytes) -> Outcome:
        """Post a payload, once.

        Args:
            endpoint: One of `model.ENDPOINTS`.
            body: JSON in UTF-8.
        """
        request = with_body(self._sends[endpoint], body)
        return _classified(endpoint, partial(self._http.call, request))

    def begin(self, endpoint: str, body: bytes) -> Begun | None:
        """Begin to post a payload, without waiting for anything.

        Args:
            endpoint: As for `send`.
            body: Likewise.

        Returns:
            The call, for `finish`; None where only `send` can make it.
        """
        return self._http.begin(with_body(self._sends[endpoint], body))

    def finish(self, endpoint: str, begun: Begun) -> Outcome:
        """Wait for what becomes of a call that was begun."""
        return _classified(endpoint, partial(self._http.finish, begun))

    def probe(self, campaign_id: int | None) -> Outcome:
        """Ask whether the key is good, and a campaign fit to send where one is named.

        A campaign that exists and cannot send is a `CONFIG` outcome.
        """
        outcome, campaign = self._ask(campaign_id)
        if outcome.classification is not Classification.SUCCESS or campaign_id is None:
            return outcome
        problem = _problem(campaign)
        if problem is None:
            return outcome
        return replace(
            outcome,
            classification=Classification.CONFIG,
            reason=f"campaign {campaign_id} {_WORDS[problem]}",
            blame=Blame.ROUTE,
        )

    def sent_messages(
        self, person: Recipient, campaign_ids: Collection[int], since: datetime
    ) -> SentMessages:
        """Ask what a person was sent through campaigns since a time."""
        path = question(person, campaign_ids, since)
        try:
            request = prepare("GET", f"{self._base_url}{path}", self._headers)
            reply = self._http.call(request)
        except TransportError as error:
            return SentMessages(outcome=classify(f"GET {PATH}", None, error))
        return sent_messages(reply, campaign_ids)

    def check_campaign(self, campaign_id: int, endpoint: str) -> str | None:
        """Tell whether a campaign fits a route.

        Returns:
            None where it does, else `campaign_not_found`, `campaign_not_triggered`,
            `campaign_not_running`, `campaign_wrong_medium`, `key_refused`, or
            `unreachable` where Iterable gave no usable answer.
        """
        outcome, campaign = self._ask(campaign_id)
        if outcome.status in (UNAUTHORIZED, FORBIDDEN):
            return "key_refused"
        if outcome.blame is Blame.ROUTE:
            return "campaign_not_found"
        if outcome.classification is not Classification.SUCCESS:
            return "unreachable"
        return _problem(campaign) or _medium_problem(campaign, endpoint)

    def _ask(self, campaign_id: int | None) -> tuple[Outcome, Mapping[str, Json]]:
        """Ask for one campaign, or for any; the second value is it, or empty."""
        path = "/api/campaigns?page=1&pageSize=1"
        if campaign_id is not None:
            path = f"/api/campaigns/{campaign_id}"
        request = prepare("GET", f"{self._base_url}{path}", self._headers)
        try:
            reply = self._http.call(request)
        except TransportError as error:
            return classify(f"GET {path}", None, error), {}
        outcome = classify(f"GET {path}", reply, None)
        if outcome.is_odd:
            # Good enough for a send that was accepted, but not for a question.
            reason = f"status {outcome.status}: not an answer of Iterable"
            return replace(
                outcome, classification=Classification.RETRY, reason=reason
            ), {}
        document = read(reply).document
        return outcome, document if isinstance(document, dict) else {}


def _classified(endpoint: str, wait: Callable[[], Reply]) -> Outcome:
    path = f"POST /api/{endpoint}"
    try:
        reply = wait()
    except TransportError as error:
        return classify(path, None, error)
    return classify(path, reply, None)


def _problem(campaign: Mapping[str, Json]) -> str | None:
    """Say why a campaign cannot send, whatever the medium."""
    if campaign.get("type") != "Triggered":
        return "campaign_not_triggered"
    if campaign.get("campaignState") != "Running":
        return "campaign_not_running"
    return None


def _medium_problem(campaign: Mapping[str, Json], endpoint: str) -> str | None:
    medium = str(campaign.get("messageMedium")).lower()
    is_same = medium == endpoint.removesuffix("/target").lower()
    return None if is_same else "campaign_wrong_medium"
