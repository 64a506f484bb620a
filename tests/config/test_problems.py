"""What a person reads who made a mistake in the file."""

from typing import Any

import pytest

from tests.config.conftest import SERVING, Write, problems

BASE = """destinations: {iterable: {data_center: us}}
routes:
  - name: referral
    match: {campaigns: ["Refer*"]}
    campaign_id: 111
    template: a.j2
  - name: birthday
    match:
      campaigns: ["Birthday*"]
    endpoint: sms/target
    campaign_id: 222
    template: a.j2
"""


@pytest.mark.parametrize(
    ("typed", "instead", "place", "says"),
    [
        (
            "campaign_id: 222",
            "campaign: 222",
            "routes.1.campaign",
            'route "birthday" (line 11): there is no setting `campaign`. '
            "Did you mean `campaign_id`?",
        ),
        (
            "campaign_id: 222",
            'campaign_id: "222"',
            "routes.1.campaign_id",
            "write it without quotes, `campaign_id: 222`",
        ),
        (
            '      campaigns: ["Birthday*"]',
            '    campaigns: ["Birthday*"]',
            "routes.1.match",
            'route "birthday" (line 8): `match:` is empty: indent what belongs to it',
        ),
        (
            '      campaigns: ["Birthday*"]',
            '    campaigns: ["Birthday*"]',
            "routes.1.campaigns",
            "`campaigns` belongs to `match`: indent it below `match:`",
        ),
        ('["Refer*"]', "Refer*", "routes.0.match.campaigns", "`campaigns: [Refer*]`"),
        ("    template: a.j2\n  - n", "  - n", "routes.0.template", "is needed"),
        ("sms/target", "sms", "routes.1.endpoint", "must be one of email/target"),
        ("sms/target", "smstarget", "routes.1.endpoint", "Did you mean `sms/target`?"),
        ("name: birthday", "name: referral", "routes.1.name", "more than once"),
        ("name: birthday", "name: a b", "routes.1.name", "must be letters"),
        ("name: birthday", "name: destination", "routes.1.name", "all routes together"),
        ("    campaign_id: 222\n", "", "routes.1.campaign_id", "is needed for sms"),
        ("match: {c", "match: {raw: maybe, c", "routes.0.match.raw", "true or false"),
        ("    campaign_id: 222\n", "    5: 6\n", "routes.1.5", "no setting `5`"),
        ("{data_center: us}", "{data_center: de}", "destinations.iterable.data_center",
         "must be one of us, eu"),
        ("{data_center: us}", "{}", "destinations.iterable.data_center", "is needed"),
        ("{data_center: us}", '{data_center: us, base_url: "https://x.example/api"}',
         "destinations.iterable.base_url", "ends in /api"),
    ],
)  # fmt: skip
def test_a_slip_is_named_in_the_readers_words(
    write: Write, typed: str, instead: str, place: str, says: str
) -> None:
    assert typed in BASE
    found = problems(write(text=BASE.replace(typed, instead, 1)))
    assert says in found[place]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("routes:\n  - a: 1\n    b: 2\n   c: 3", "line 4: this line does not fit"),
        ("routes:\n\t- a: 1", "line 2: a tab: indent with spaces only"),
        ("a: [*Refer]", "line 1: a text that begins with * or & must be in quotes"),
        ("a: b: c", "line 1: a colon where none is expected"),
        ("routes: [", "is not closed"),
        ('a: "x', "is not closed"),
        ("a: 1\na: 2", "line 2: `a` is here a second time (first in line 1)"),
        ("a: {b: 1,\n b: 2}", "line 2: `b` is here a second time"),
        ("routes:\n  - name: 2026-13-45", "line 2: this looks like a timestamp"),
        ("a: 0x" + "f" * 5000, "line 1: the number is too large"),
        ("a: !thing 2", "a text with a special character must be in quotes"),
        ("a: 1\n---\nb: 1", "a second document begins"),
        ("[" * 1000, "is nested too deeply"),
        ("\x00", "a character in it is not allowed in YAML"),
        ("- 1", "must have settings such as `routes:`"),
        ("", "must have settings such as `routes:`"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_problem_with_its_line(
    write: Write, text: str, says: str
) -> None:
    path = write(text=text)
    found = problems(path, {})
    assert found.keys() == {str(path)}
    assert says in found[str(path)]


def test_a_missing_file_says_how_to_make_one(write: Write) -> None:
    path = write().with_name("none.yaml")
    assert "reward-bridge init" in problems(path)[str(path)]


OLD_ROUTE: dict[str, tuple[Any, str]] = {
    "when": ({"raw": True}, "`match`"),
    "per": ("voucher", "`group_by`"),
    "formerly": (["b"], "`previous_names`"),
    "not_within": ("3h", "`min_validity`"),
    "per_customer": ({"count": 1, "within": "3h"}, "`limit_per_customer: {max: …"),
    "in_doubt": ("hold", "`on_unknown_outcome`"),
}


@pytest.mark.parametrize("old", OLD_ROUTE)
def test_an_old_setting_of_a_route_is_one_message_that_says_the_new(
    write: Write, old: str
) -> None:
    value, new = OLD_ROUTE[old]
    found = problems(write({old: value}))
    assert list(found) == [f"routes.0.{old}"]
    assert f"`{old}` is now {new}" in found[f"routes.0.{old}"]


def test_old_sections_and_their_settings_say_the_new_names(write: Write) -> None:
    path = write(
        iterable={"timeout_seconds": 5},
        retry={"unknown_user_grace": "60s"},
        retention={"blank_after": "3d", "remove_after": "40d"},
        alerts={"oldest_due": "3m", "upstream_failures": 3},
    )
    found = problems(path)
    assert found.keys() == {
        "iterable",
        "retry.unknown_user_grace",
        "retention.blank_after",
        "retention.remove_after",
        "alerts.oldest_due",
        "alerts.upstream_failures",
    }
    assert all(" is now " in message for message in found.values())


def test_every_mistake_is_reported_at_once(write: Write) -> None:
    path = write(
        {"template": "gone.j2", "endpoint": "fax/target", "campaign_id": "7"},
        retry={"max_age": "soon"},
        colour="blue",
        environment={"ITERABLE_KEY": "K", "PORT": " "},
        destinations={"iterable": {"rate_per_second": 0, "timeout": "1h"}},
    )
    assert problems(path, {"BRIDGE_METRICS_TOKEN": "x"}).keys() == {
        "colour",
        "retry.max_age",
        "environment.ITERABLE_KEY",
        "environment.PORT",
        "destinations.iterable.rate_per_second",
        "destinations.iterable.timeout",
        "routes.0.endpoint",
        "routes.0.campaign_id",
        "routes.0.template",
        "VOUCHERIFY_WEBHOOK_SECRET",
        "ITERABLE_API_KEY",
        "BRIDGE_METRICS_TOKEN",
    }


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"a,b,c\n", "line 1 has not exactly two columns"),
        (b"a;b\n", "line 1 has not exactly two columns (separate them by a comma)"),
        (b"a,b\n\na,c\n", "line 3 has the customer of line 1"),
        (b"A@x.example,b\na@X.example,c\n", "line 2 has the customer of line 1"),
        (b"a,\n", "line 1 has an empty cell"),
        (b" ,b\n", "line 1 has an empty cell"),
        ("a,b\nM\u00fcller,c\n".encode("cp1252"), "line 2 is not UTF-8"),
        ("a,b\n".encode("utf-16"), "is UTF-16: save it as CSV UTF-8"),
        (b'a,"b"c\n', "line 1 has a quote out of place"),
        (None, "No such file"),
    ],
)
def test_a_broken_look_up_file_is_named_with_its_line(
    write: Write, data: bytes | None, says: str
) -> None:
    path = write({"recipient": [{"lookup": "people.csv"}]})
    if data is not None:
        path.with_name("people.csv").write_bytes(data)
    message = problems(path, SERVING)["routes.0.recipient"]
    assert "people.csv" in message
    assert says in message
