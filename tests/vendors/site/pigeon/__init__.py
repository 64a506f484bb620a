"""A toy vendor, Pigeon Post: orders in, letters out; installed, not built in."""
# mypy: ignore-errors
# ruff: noqa: ARG002 - the arguments of the protocols

import json
from datetime import timedelta
from hashlib import sha256

from flask import Blueprint, Response, jsonify, request

from bridge import integrations as roles
from bridge.config import SecretSpec, SectionSpec
from bridge.config.schema import Schema
from bridge.errors import NotSentError, SignatureError, TransportError
from bridge.model import Classification, Customer, Message, Outcome, ParsedWebhook

HEADER = "x-pigeon-token"


class PigeonSource:
    """Reads orders: `{"order": "…", "person": "…", "text": "…"}`."""

    def __init__(self, config):
        self.name, self._secrets = config.name, config.secrets.get("secret", ())

    def endpoints(self, api_keys):
        path = f"/webhooks/{self.name}"
        return [roles.InboundEndpoint(path=path, verify=self._verify)]

    def _verify(self, asked):
        if asked.headers.get(HEADER) not in self._secrets:
            raise SignatureError(f"the header {HEADER} is not the secret", "Pigeon")

    def parse(self, capture):
        digest = sha256(capture.body).hexdigest()
        found = {"kind": "order", "event_type": "order", "transport_key": digest}
        try:
            order = json.loads(capture.body)
            key, person, text = order["order"], order["person"], order["text"]
        except (ValueError, TypeError, KeyError):
            return ParsedWebhook(**found, is_hashed=True, problem="this is no order")
        customer, data = Customer(source_id=person), {"letter": {"text": text}}
        ttl = timedelta(days=30)
        message = Message(key=key, key_ttl=ttl, customer=customer, data=data)
        return ParsedWebhook(
            **found, is_hashed=True, messages=(message,), document=order
        )

    def merge(self, messages):
        return messages[0]

    def find(self, parsed, key):
        return next((one for one in parsed.messages if one.key == key), None)

    def sign(self, body, now):
        return {HEADER: next(iter(self._secrets), "")}


class PigeonDestination:
    """Posts letters; a letter with the same `id` is carried once."""

    verification = None

    def __init__(self, config, http):
        self.name, self.config, self._http = config.name, config, http

    def check_recipient(self, recipient):
        pass

    def check_payload(self, route, endpoint, document, recipient):
        return roles.PayloadCheck(document=document)

    def is_idempotent(self, endpoint):
        return endpoint == "letters"

    def send(self, endpoint, body):
        url, token = f"{self.config.base_url}/{endpoint}", self.config.secret("token")
        headers = {HEADER: token, "Content-Type": "application/json"}
        call = {"headers": headers, "body": body, "timeout": self.config.timeout}
        try:
            reply = self._http.call("POST", url, **call)
        except TransportError as error:
            return _outcome("RETRY", is_unknown=not isinstance(error, NotSentError))
        word = {2: "SUCCESS", 4: "PERMANENT"}.get(reply.status // 100, "RETRY")
        return _outcome(word, status=reply.status, is_unknown=word == "RETRY")

    def probe(self, route):
        return _outcome("SUCCESS")

    def check(self, route):
        return None

    def is_sandbox(self):
        return False


def _outcome(word, **facts):
    return Outcome(classification=Classification(word), reason="so it says", **facts)


class PigeonSandbox:
    """Carries letters; the first call of a letter that says "storm" is answered 500."""

    def __init__(self, receipts):
        self._letters = letters = {}
        self.blueprint = Blueprint("pigeon", __name__)
        self.blueprint.post("/letters")(self._take)
        self.blueprint.get("/_sandbox/pigeon")(lambda: jsonify(list(letters.values())))

    def environment(self, base_url):
        return {"PIGEON_BASE_URL": base_url}

    def close(self):
        pass

    def _take(self):
        letter = request.get_json()
        is_lost = letter["text"] == "storm" and letter["id"] not in self._letters
        self._letters[letter["id"]] = letter
        return Response("{}", 500 if is_lost else 200, content_type="application/json")


def _secret(name, variable, role):
    return SecretSpec(name=name, variable=variable, purpose=name, required_for=(role,))


INTEGRATION = roles.Integration(
    kind="pigeon",
    title="Pigeon Post",
    source_spec=SectionSpec(
        schema=Schema, secrets=(_secret("secret", "PIGEON_SECRET", "receive"),)
    ),
    make_source=PigeonSource,
    destination_spec=SectionSpec(
        schema=Schema,
        secrets=(_secret("token", "PIGEON_TOKEN", "deliver"),),
        base_url_variable="PIGEON_BASE_URL",
        endpoints=("letters",),
    ),
    make_destination=PigeonDestination,
    make_sandbox=PigeonSandbox,
    context={"letter": "what the letter says"},
)
