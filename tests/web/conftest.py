"""The application on a real ledger, as a receiving process builds it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from bridge import bootstrap, config, integrations, metrics
from bridge import logging as logs
from bridge.bootstrap import Bridge
from bridge.integrations.voucherify.signature import sign
from bridge.web import create_app

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "voucherify"
SECRET, KEY, RECEIPTS = "vf-test-secret-1", "itbl-key-0123456789", "receipts-secret-1"
HOOK = "/webhooks/voucherify"
CONFIG = f"""
routes:
  - {{name: raw, match: {{raw: true}}, template: passthrough.json.j2}}
  - name: rewards
    match: {{events: [voucher.published, publication.succeeded]}}
    campaign_id: 1
    template: triggered_email.json.j2
templates: {ROOT / "templates"}
"""


def body_of(number: str = "01", **changes: Any) -> bytes:
    """Write a sample webhook without blanks, as Voucherify sends it."""
    document = json.loads(next(SAMPLES.glob(f"{number}_*.json")).read_bytes())
    return json.dumps(document | changes, separators=(",", ":")).encode()


@dataclass
class Application:
    """The application, its client, and what it logged."""

    bridge: Bridge
    app: Flask
    client: FlaskClient
    log: list[Any]

    def post(
        self,
        body: bytes,
        path: str = HOOK,
        *,
        headers: Mapping[str, str] | None = None,
        signed: bool = True,
    ) -> TestResponse:
        sent = {"Content-Type": "application/json", **(headers or {})}
        if signed:
            sent["X-Voucherify-Signature"] = sign(body, SECRET)
        return self.client.post(path, data=body, headers=sent)

    def logged(self, event: str) -> list[Any]:
        return [line for line in self.log if line["event"] == event]

    @property
    def failures(self) -> int:
        return metrics.consecutive_webhook_failures()


@pytest.fixture(autouse=True)
def _metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    state = metrics._State(metrics._Families())  # noqa: SLF001 - each test counts anew
    monkeypatch.setattr(metrics, "_state", state)


Start = Callable[..., Application]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Build the application, with changes of the configuration."""
    bridges = []
    environ = {
        "VOUCHERIFY_WEBHOOK_SECRET": SECRET,
        "ITERABLE_API_KEY": KEY,
        "ITERABLE_WEBHOOK_SECRET": RECEIPTS,
        "DATABASE_URL": f"sqlite:///{tmp_path / 'bridge.db'}",
    }
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    loaded = config.load(path, environ, "receive", find_integration=integrations.find)
    logs.configure("INFO", "text")
    with capture_logs() as log:

        def start(**changes: Any) -> Application:
            changed = replace(loaded, **{"max_body_bytes": 100_000} | changes)
            bootstrap.prepare(changed)
            bridge = bootstrap.build(changed)
            bridges.append(bridge)
            app = create_app(bridge)
            return Application(bridge, app, app.test_client(), log)

        yield start
    for bridge in bridges:
        with closing(bridge.store):
            pass


@pytest.fixture
def web(start: Start) -> Application:
    return start()
