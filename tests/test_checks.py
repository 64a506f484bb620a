"""What stops a start, and what is only a note."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import checks
from bridge.config import shipped
from bridge.model import Capture

ENV = {
    "VOUCHERIFY_WEBHOOK_SECRET": "test-secret",
    "ITERABLE_API_KEY": "test-key",
    "ITERABLE_WEBHOOK_SECRET": "receipts-secret",
}
COUPON = "01_project_voucher_published_discount.json"
HEAD = (
    '{"campaignId": {{ route.campaign_id }}, '
    '"recipientUserId": {{ recipient.user_id }},'
)

Check = Callable[..., checks.Report]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Check a configuration with some routes, and a template `t.json.j2`."""

    def checked(
        template: str = HEAD + '"dataFields": {"couponCode": {{ reward.code }}}}',
        *routes: dict[str, Any],
        env: dict[str, str] = ENV,
        **options: Any,
    ) -> checks.Report:
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "templates" / "t.json.j2").write_text(template, encoding="utf-8")
        plain = {"name": "all", "match": {}, "campaign_id": 1, "template": "t.json.j2"}
        data = {
            "routes": [plain | one for one in routes or ({},)],
            "destinations": {"iterable": {"data_center": "us"}},
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        return checks.check(path, env, "receive", "deliver", **options)

    return checked


def sample(**metadata: Any) -> Capture:
    """Take the shipped coupon, its voucher with metadata of the user's own."""
    text = (shipped("samples") / "voucherify" / COUPON).read_text(encoding="utf-8")
    document = json.loads(text)
    document["data"]["voucher"]["metadata"] = metadata
    return Capture(body=json.dumps(document).encode())


def test_the_example_has_no_problem() -> None:
    report = checks.check(shipped("config.example.yaml"), ENV, "receive", "deliver")
    assert (report.problems, report.notes) == ((), ())
    assert report.config is not None


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (HEAD + '"dataFields": {"a": {{ reward.nope }}}}', "reward has no `nope`"),
        (HEAD + '"dataFields": {"a": {{ rewrd.code }}}}', "`rewrd` is not defined"),
        (HEAD + '"dataFields": {"a": {{ 1 | uper }}}}', "there is no filter `uper`"),
        (HEAD + '"dataFields": {"a": "{{ reward.code }}"}}', "quotes around"),
        (HEAD + '"dataFields": {}, "subject": "Hi"}', "`subject` is no key"),
        (
            HEAD + '"dataFields": {"a": {{ customer.metadata.x }}}, "subject": "Hi"}',
            "`subject` is no key",
        ),
        ('{"campaignId": 1,', "line 1: the result is not JSON"),
        ('{"campaignId": {{ customer.metadata.x }},', "the result is not JSON"),
        ('{"campaignId": 1, "recipientUserId": 7}', "recipientUserId must be a text"),
    ],
)
def test_what_no_webhook_can_make_work_is_a_problem(
    check: Check, template: str, says: str
) -> None:
    [problem] = check(template).problems
    assert problem.path == "routes.0.template"
    assert says in problem.message


@pytest.mark.parametrize(
    "expression",
    [
        "voucher.metadata.valid_until | iterable_date",
        'voucher.metadata.bonus_cents | money("EUR")',
        "voucher.metadata.shop.city",
        "voucher.metadata.saving | float | round(2)",
        "(voucher.metadata.x | int) + 1",
    ],
)
def test_what_only_the_samples_lack_is_a_note_that_names_the_expression(
    check: Check, expression: str
) -> None:
    report = check(HEAD + f'\n"dataFields": {{"a": {{{{ {expression} }}}}}}}}')
    assert report.problems == ()
    [note] = report.notes
    assert expression in note.message
    assert "line 2" in note.message
    assert "check --capture" in note.message


def test_the_users_own_webhooks_prove_or_refute_a_template(check: Check) -> None:
    template = HEAD + '"dataFields": {"a": {{ voucher.metadata.shoe_size }}}}'
    proven = check(template, captures=[("own.json", sample(shoe_size=42))])
    assert (proven.problems, proven.notes) == ((), ())
    [problem] = check(template, captures=[("own.json", sample())]).problems
    assert problem.path == "routes.0.template"
    assert problem.message.endswith("(with own.json)")


def test_a_route_that_an_earlier_one_leaves_nothing_for_is_a_note(
    check: Check,
) -> None:
    routes = (
        {"name": "coupons", "match": {"vouchers": ["DISCOUNT_VOUCHER", "NONE"]}},
        {"name": "some", "match": {"vouchers": ["DISCOUNT_VOUCHER"], "raw": False}},
        {"name": "rest"},
        {"name": "last", "match": {"campaigns": ["Birthday*"]}},
    )
    notes = {
        one.path: one.message
        for one in check(HEAD + '"dataFields": {}}', *routes).notes
    }
    assert notes.keys() == {"routes.1.match", "routes.3.match"}
    assert 'route "coupons" above takes everything' in notes["routes.1.match"]


@pytest.mark.parametrize(
    ("pattern", "note"),
    [
        ("voucher.publishd", "Did you mean `voucher.published`?"),
        ("order.created", "no message is made of an event `order.created`"),
        ("voucher.published", None),
        ("voucher.*", None),
        ("customer.loyalty.points_added", None),
        ("EVENTS.CUSTOMER.REWARDED", None),
    ],
)
def test_a_pattern_that_fits_no_known_event_is_a_note(
    check: Check, pattern: str, note: str | None
) -> None:
    notes = check(HEAD + '"dataFields": {}}', {"match": {"events": [pattern]}}).notes
    assert len(notes) == (note is not None)
    assert all(str(note) in one.message for one in notes)


def test_a_secret_that_is_optional_and_unset_is_a_note(check: Check) -> None:
    env = {name: one for name, one in ENV.items() if name != "ITERABLE_WEBHOOK_SECRET"}
    [note] = check(env=env).notes
    assert note.path == "ITERABLE_WEBHOOK_SECRET"


class Asked:
    """A destination that refuses some campaigns, and counts the questions."""

    def __init__(self, faults: dict[int, str]) -> None:
        self._faults = faults
        self.asked: list[int] = []

    def check(self, route: Any) -> str | None:
        self.asked.append(route.campaign_id)
        return self._faults.get(route.campaign_id)


@pytest.mark.parametrize(
    ("faults", "places"),
    [
        ({}, []),
        ({2: "campaign 2 is a draft"}, ["routes.1.campaign_id"]),
        (dict.fromkeys((1, 2), "the key is refused"), ["destinations.iterable"]),
    ],
)
def test_each_campaign_is_asked_about_once(
    check: Check, faults: dict[int, str], places: list[str]
) -> None:
    routes = [{"name": f"r{n}", "campaign_id": c} for n, c in enumerate((1, 2, 1))]
    config = check(HEAD + '"dataFields": {}}', *routes).config
    assert config is not None
    asked: Any = Asked(faults)
    problems = checks.ask(config, {"iterable": asked})
    assert [one.path for one in problems] == places
    assert sorted(asked.asked) == [1, 2]
