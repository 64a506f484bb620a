"""The endpoints webhooks are received at: verify, store, answer 202.

A webhook whose sender is authenticated is never rejected for its content. Compatible
endpoints answer in their vendor's shape, with our event's id in `X-Event-Id`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from bridge import metrics
from bridge.captures import MAX_HEADER_LENGTH
from bridge.config import Config
from bridge.errors import SignatureError
from bridge.intake import Intake
from bridge.integrations import InboundEndpoint, Request, Source
from bridge.model import Capture, IngestResult
from bridge.web.answers import PREFIXES, as_json, problem
from bridge.web.bodies import STILL_PACKED, BodyReader


@dataclass(frozen=True, slots=True)
class _Inlet:
    """One endpoint of one source."""

    source: str
    endpoint: InboundEndpoint


class Webhooks:
    """All endpoints of all configured sources.

    Args:
        config: For the keys of callers of compatible endpoints.
        sources: By name.
        intake: Stores what was verified.
        bodies: Reads bodies.
    """

    def __init__(
        self,
        config: Config,
        sources: Mapping[str, Source],
        intake: Intake,
        bodies: BodyReader,
    ) -> None:
        self._intake = intake
        self._bodies = bodies
        api_keys = _api_keys(config)
        #: By path; where several sources receive at one, their secrets tell them apart.
        self._inlets: dict[str, list[_Inlet]] = {}
        for name, source in sources.items():
            for endpoint in source.endpoints(api_keys):
                inlets = self._inlets.setdefault(endpoint.path, [])
                inlets.append(_Inlet(name, endpoint))

    @property
    def paths(self) -> list[str]:
        """Where webhooks are received."""
        return list(self._inlets)

    def blueprint(self) -> Blueprint:
        """Make the views."""
        blueprint = Blueprint("webhooks", __name__)
        for path, inlets in self._inlets.items():
            view = partial(self._receive, inlets)
            name = path.strip("/").replace("/", "_")
            blueprint.add_url_rule(path, name, view, methods=["POST"])
        return blueprint

    def _receive(self, inlets: Sequence[_Inlet]) -> Response:
        began = time.monotonic()
        g.endpoint = inlets[0].endpoint
        environ = request.environ
        with self._bodies.read(environ) as body:
            asked = request_of(environ, body)
            inlet = _authenticated(inlets, asked, environ)
            g.is_authenticated, g.endpoint = True, inlet.endpoint
            capture = Capture(
                body=body,
                headers=_kept(inlet.endpoint, asked.headers),
                source=inlet.source,
                endpoint=inlet.endpoint.endpoint,
            )
            result = self._intake.receive(capture, request_id=g.request_id)
        metrics.record_answer(time.monotonic() - began)
        return _success(inlet.endpoint, result)

    def install_rejections(self, app: Flask, more_paths: Sequence[str]) -> None:
        """Answer POSTs that have no endpoint with those that exist.

        Args:
            app: The application.
            more_paths: Further endpoints to name.
        """
        paths = ", ".join([*self._inlets, *more_paths])

        def reject(error: HTTPException) -> Response:
            headers = {"Allow": ", ".join(getattr(error, "valid_methods", None) or ())}
            headers = {name: value for name, value in headers.items() if value}
            if request.method != "POST" or not request.path.startswith(PREFIXES):
                return problem(error.code or 404, "there is no such page", headers)
            g.is_authenticated = self._is_authentic()
            detail = f"there is no such endpoint; webhooks are received at {paths}"
            return problem(error.code or 404, detail, headers)

        app.register_error_handler(404, reject)
        app.register_error_handler(405, reject)

    def _is_authentic(self) -> bool:
        """Tell whether this request would be accepted at a right address."""
        try:
            environ = request.environ
            with self._bodies.read(environ) as body:
                asked = request_of(environ, body)
                return any(
                    _is_accepted(inlets[0].endpoint, asked)
                    for inlets in self._inlets.values()
                )
        except HTTPException:
            return False


def request_of(environ: Mapping[str, Any], body: bytes) -> Request:
    """Describe a request as sources see it."""
    headers = {
        _header(key): value for key, value in environ.items() if key[:5] == "HTTP_"
    }
    if content_type := environ.get("CONTENT_TYPE"):
        headers["content-type"] = content_type
    return Request(path=environ["PATH_INFO"], body=body, headers=headers)


@lru_cache(maxsize=256)
def _header(key: str) -> str:
    """Name a header by its key in WSGI's environment."""
    return key[5:].replace("_", "-").lower()


def _api_keys(config: Config) -> tuple[str, ...]:
    """List what `Api-Key` may hold: ours, and the destinations' own keys.

    A distribution that posted to Iterable before shows Iterable's key.
    """
    keys = list(config.inbound_tokens)
    for destination in config.destinations.values():
        keys += destination.secrets.get("api_key", ())
    return tuple(dict.fromkeys(key for key in keys if key))


def _authenticated(
    inlets: Sequence[_Inlet], asked: Request, environ: Mapping[str, Any]
) -> _Inlet:
    for inlet in inlets[:-1]:
        if _is_accepted(inlet.endpoint, asked):
            return inlet
    try:
        inlets[-1].endpoint.verify(asked)
    except SignatureError:
        if STILL_PACKED in environ:  # which is what a signature would not fit
            raise RequestEntityTooLarge("the body is too long unpacked") from None
        raise
    return inlets[-1]


def _is_accepted(endpoint: InboundEndpoint, asked: Request) -> bool:
    try:
        endpoint.verify(asked)
    except SignatureError:
        return False
    return True


def _kept(endpoint: InboundEndpoint, headers: Mapping[str, str]) -> dict[str, str]:
    return {
        name: headers[name][:MAX_HEADER_LENGTH]
        for name in endpoint.kept_headers
        if name in headers
    }


def _success(endpoint: InboundEndpoint, result: IngestResult) -> Response:
    if endpoint.success is not None:
        answer = endpoint.success(result.event_id)
        response = as_json(answer.body, answer.status)
    else:
        content: dict[str, Any] = {
            "event_id": result.event_id,
            "status": result.status.value,
            "deliveries": list(result.deliveries),
        }
        if result.reason is not None:
            content["reason"] = result.reason
        response = as_json(content, 202)
    response.headers["X-Event-Id"] = result.event_id
    return response
