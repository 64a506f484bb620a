"""A vendor that is installed beside the program works with no edit in it."""

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.product.program import Program, compact, wait_for

#: A folder as pip makes it: a package, and a `.dist-info` that names its entry point.
SITE = Path(__file__).parent / "site"
LETTER = (
    '{"id": {{ bridge_id }}, "to": {{ recipient.user_id }}, "text": {{ letter.text }}}'
)
SECRET, TOKEN = "orders-secret-1", "letters-token-2"


@pytest.fixture
def pigeons(program: Program) -> str:
    """A program whose only vendor is the toy one, with its sandbox; gives its URL."""
    program.env |= {
        "PYTHONPATH": str(SITE),
        "PIGEON_SECRET": SECRET,
        "PIGEON_TOKEN": TOKEN,
    }
    port = program.port + 1
    program.launch("sandbox", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: f"PIGEON_BASE_URL={url}" in program.log)
    program.env["PIGEON_BASE_URL"] = url
    program.template("letter.json.j2", LETTER)
    route = {"name": "letters", "match": {"events": ["order"]}}
    program.configure(
        sources={"pigeon": {}},
        destinations={"pigeon": {"timeout": "5s"}},
        routes=[{**route, "template": "letter.json.j2"}],
    )
    program.start()
    return url


def order(program: Program, number: str, text: str) -> dict[str, Any]:
    """Post an order; give the answer."""
    document = {"order": number, "person": "crm-7", "text": text}
    headers = {"X-Pigeon-Token": SECRET}
    answer = program.post(compact(document), "/webhooks/pigeon", headers=headers)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


def carried(url: str) -> list[dict[str, str]]:
    """List the letters that the sandbox has carried."""
    found: list[dict[str, str]] = requests.get(
        f"{url}/_sandbox/pigeon", timeout=20
    ).json()
    return found


def test_a_vendor_from_an_entry_point_works_end_to_end(
    program: Program, pigeons: str
) -> None:
    [delivery] = order(program, "o-1", "hello")["deliveries"]
    assert program.at_rest(delivery)["status"] == "accepted"
    assert carried(pigeons) == [{"id": delivery, "to": "crm-7", "text": "hello"}]
    assert order(program, "o-1", "hello")["status"] == "duplicate"
    headers = {"X-Pigeon-Token": "wrong"}
    assert program.post(b"{}", "/webhooks/pigeon", headers=headers).status_code == 401
    headers = {"X-Pigeon-Token": SECRET}
    answer = program.post(b"[]", "/webhooks/pigeon", headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "parked")
    program.run("check")


def test_an_idempotent_endpoint_is_simply_sent_again_after_an_unknown_outcome(
    program: Program, pigeons: str
) -> None:
    [delivery] = order(program, "o-2", "storm")["deliveries"]
    assert program.at_rest(delivery)["status"] == "accepted"
    assert len(program.delivery(delivery)["attempts"]) == 2
    assert [one["id"] for one in carried(pigeons)] == [delivery]
