"""The page of metrics, and who may see it."""

from collections.abc import Callable
from hmac import compare_digest

from flask import Blueprint, Response, request

from bridge import metrics
from bridge.web.answers import problem


def figures(token: str, *, is_open: bool, refresh: Callable[[], None]) -> Blueprint:
    """Make the page.

    Args:
        token: Must stand in `Authorization: Bearer`; empty for none.
        is_open: Whether anybody may see it where there is no token.
        refresh: Brings what the store knows up to date.
    """
    blueprint = Blueprint("figures", __name__)

    @blueprint.get("/metrics")
    def page() -> Response:
        if not token and not is_open:
            detail = "closed on a public host; set BRIDGE_METRICS_TOKEN to open it"
            return problem(403, "Forbidden", detail)
        if token and not _is_shown(token):
            detail = "this page takes the token in Authorization: Bearer"
            return problem(401, "Unauthorized", detail, {"WWW-Authenticate": "Bearer"})
        refresh()
        body, content_type = metrics.page(request.headers.get("Accept", ""))
        return Response(body, content_type=content_type)

    return blueprint


def _is_shown(token: str) -> bool:
    given = request.headers.get("Authorization", "")
    scheme, _, shown = given.partition(" ")
    proof = shown.strip().encode("latin-1", "replace")
    return scheme.lower() == "bearer" and compare_digest(proof, token.encode())
