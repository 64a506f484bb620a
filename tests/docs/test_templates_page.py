"""docs/templates.md: its examples render as they are shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from bridge import integrations
from bridge.config import SourceConfig, shipped
from bridge.errors import RenderError
from bridge.integrations.iterable import payloads
from bridge.model import Capture, ParsedWebhook
from bridge.recipients import recipient_of
from bridge.rendering import Payload, Templates
from bridge.rendering.context import CONTEXT
from bridge.rendering.filters import LEFT_OUT, OWN
from tests.docs.pages import README, blocks, page, rows
from tests.rendering.payloads import BRIDGE_ID, route

PAGE = page("templates.md")
EXAMPLES = [
    (written.strip("`"), shown)
    for written, shown in rows(PAGE, 2)
    if written.startswith("`{{")
]


class Iterable:
    check_payload = staticmethod(payloads.check)


def webhook() -> ParsedWebhook:
    vendor = integrations.find("voucherify")
    assert vendor is not None
    assert vendor.make_source is not None
    source = vendor.make_source(SourceConfig(name="voucherify", kind="voucherify"))
    [capture] = blocks(PAGE, "json capture")
    return source.parse(Capture(body=capture.encode()))


def render(template: str, folder: Path) -> Payload:
    (folder / "t.json.j2").write_text(template, encoding="utf-8")
    parsed = webhook()
    message = parsed.messages[0]
    return Templates(folder, ["t.json.j2"]).render(
        route(),
        endpoint="email/target",
        parsed=parsed,
        message=message,
        recipient=recipient_of(message.customer, ("source_id",)),
        delivery_id=BRIDGE_ID,
        destination=Iterable(),
    )


def value(expression: str, folder: Path) -> Any:
    template = (
        '{"campaignId": {{ route.campaign_id }}, '
        '"recipientUserId": {{ recipient.user_id }}, '
        f'"dataFields": {{"x": {expression} }} }}'
    )
    return json.loads(render(template, folder).body)["dataFields"]["x"]


def pairs() -> list[tuple[str, str]]:
    return list(
        zip(blocks(PAGE, "jinja template"), blocks(PAGE, "json payload"), strict=True)
    )


@pytest.mark.parametrize(("template", "payload"), pairs())
def test_a_template_gives_the_payload_below_it(
    template: str, payload: str, tmp_path: Path
) -> None:
    assert json.loads(render(template, tmp_path).body) == json.loads(payload)


def test_the_page_has_many_examples() -> None:
    assert len(EXAMPLES) > 25


@pytest.mark.parametrize(("expression", "shown"), EXAMPLES)
def test_an_expression_becomes_what_is_written_beside_it(
    expression: str, shown: str, tmp_path: Path
) -> None:
    if shown.startswith("error: "):
        reason = shown.removeprefix("error: ")
        with pytest.raises(RenderError, match=re.escape(reason)):
            value(expression, tmp_path)
    else:
        assert value(expression, tmp_path) == json.loads(shown.strip("`"))


def section(marker: str) -> str:
    return PAGE.split(f"<!-- {marker} -->")[1].split("\n\n")[0]


def test_every_name_of_a_template_is_on_the_page() -> None:
    vendor = integrations.find("voucherify")
    assert vendor is not None
    assert vendor.context is not None
    named = {one for row in rows(section("names"), 2) for one in row[:1]}
    known = {f"`{name}`" for name in {**CONTEXT, **vendor.context}}
    assert named - {"name"} == known


def test_every_filter_of_our_own_is_on_the_page() -> None:
    named = " ".join(row[0] for row in rows(section("filters"), 2))
    for name in {*OWN, "optional", "passthrough", "tojson"}:
        assert re.search(rf"`{name}[`(]", named), name


def test_every_filter_that_is_left_out_is_on_the_page() -> None:
    for name in LEFT_OUT:
        assert f"`{name}`" in PAGE


def test_every_shipped_template_is_on_the_page() -> None:
    for path in shipped("templates").iterdir():
        assert f"`{path.name}`" in PAGE


def test_the_template_of_the_readme_renders(tmp_path: Path) -> None:
    [template] = blocks(README.read_text(encoding="utf-8"), "jinja")
    document = json.loads(render(template, tmp_path).body)
    assert document["dataFields"]["validUntil"] == "30. September 2099"
