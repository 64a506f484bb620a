from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config import Lookup, RecipientRule
from bridge.errors import RecipientError
from bridge.identity import recipient, user_id
from bridge.model import Reward

TABLE = Lookup(
    path=Path("somewhere/users.csv"),
    table={"crm-1": "user-1", "ana@shop.example": "user-ana", "77": "x" * 53},
)


def reward(source_id: Any = None, email: Any = None) -> Reward:
    return Reward(
        key="pub:pub_1:v_1",
        keep=timedelta(days=30),
        customer_id=None,
        source_id=source_id,
        email=email,
    )


def name(rules: list[RecipientRule], source_id: Any = None, email: Any = None) -> str:
    return recipient(reward(source_id, email), rules).name


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("crm-10482", "crm-10482"),
        ("Ana Whitfield", "Ana Whitfield"),
        (" leading", " leading"),
        ("~" * 52, "~" * 52),
        ("ana@shop.example", "ana@shop.example"),
        (10482, "10482"),
        (0, "0"),
        (-7, "-7"),
        (2**63, "9223372036854775808"),
        (10**51, "1" + "0" * 51),
    ],
)
def test_what_iterable_takes_is_taken_as_it_is(value: Any, expected: str) -> None:
    assert user_id(value) == expected


@pytest.mark.parametrize(
    "value",
    [None, "", "  ", "null", "undefined", "None", "{{customer.source_id}}"],
    ids=repr,
)
def test_what_stands_for_nothing_is_nobody(value: Any) -> None:
    assert user_id(value) is None
    with pytest.raises(RecipientError, match="no source id"):
        recipient(reward(value), ["source_id"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("x" * 53, "more than 52"),
        (10**52, "more than 52"),
        ("zoë", "beyond printable ASCII"),
        ("a\x00b", "beyond printable ASCII"),
        ("a\nb", "beyond printable ASCII"),
        ("a\n", "beyond printable ASCII"),
        ("a\x7f", "beyond printable ASCII"),
        ("crm-1 ", "ends in a blank"),
        (True, "neither a text nor a whole number"),
        (1.0, "neither a text nor a whole number"),
        ([], "neither a text nor a whole number"),
        ({"id": "crm-1"}, "neither a text nor a whole number"),
    ],
)
def test_what_iterable_refuses_is_refused_here(value: Any, reason: str) -> None:
    with pytest.raises(RecipientError, match=reason):
        user_id(value)


def test_the_first_rule_that_yields_wins() -> None:
    both = reward("crm-9", "leo@shop.example")
    by_id = recipient(both, ["source_id", "email"])
    assert (by_id.user_id, by_id.email) == ("crm-9", None)
    by_mail = recipient(both, ["email", "source_id"])
    assert (by_mail.user_id, by_mail.email) == (None, "leo@shop.example")


@pytest.mark.parametrize("source_id", [None, "x" * 53, "zoë", True])
def test_a_rule_that_cannot_yield_leaves_it_to_the_next(source_id: Any) -> None:
    found = name(["source_id", "email"], source_id, "ana@shop.example")
    assert found == "ana@shop.example"


def test_where_none_yields_the_first_rules_reason_is_told() -> None:
    with pytest.raises(RecipientError) as caught:
        name(["source_id", "email", TABLE], "x" * 53)
    assert caught.value.reason.startswith("the user id has more than 52 characters")


def test_no_rules_are_an_error_too() -> None:
    with pytest.raises(RecipientError):
        name([], "crm-1")


def test_the_lookup_tries_the_source_id_and_then_the_address() -> None:
    assert name([TABLE], "crm-1", "ana@shop.example") == "user-1"
    assert name([TABLE], "crm-2", " ana@shop.example ") == "user-ana"


def test_the_lookup_names_its_file_and_nobody() -> None:
    with pytest.raises(RecipientError) as caught:
        name([TABLE], "crm-2", "leo@shop.example")
    assert "users.csv" in caught.value.reason
    assert "leo" not in caught.value.reason
    assert "crm-2" not in caught.value.reason


def test_what_the_lookup_gives_keeps_iterables_rules() -> None:
    with pytest.raises(RecipientError, match="more than 52"):
        name([TABLE], 77)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no e-mail address"),
        ("", "no e-mail address"),
        ("{{customer.email}}", "no e-mail address"),
        ("ana", "is no e-mail address"),
        ("a@b@c", "is no e-mail address"),
        ("ana @shop.example", "is no e-mail address"),
        ("ana\x00@shop.example", "is no e-mail address"),
        ("a" * 250 + "@b.example", "is no e-mail address"),
        (7, "is no e-mail address"),
        (["ana@shop.example"], "is no e-mail address"),
        ("crm-1@Placeholder.email", "receives no mail"),
    ],
)
def test_an_address_nobody_reads_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(RecipientError, match=reason):
        name(["email"], email=value)


def outcome(value: Any) -> tuple[str | None, str | None]:
    try:
        return user_id(value), None
    except RecipientError as error:
        return None, error.reason


@given(st.text(st.characters(), min_size=9) | st.integers() | st.floats() | st.none())
def test_a_user_id_is_sound_or_refused_without_being_repeated(value: Any) -> None:
    found, reason = outcome(value)
    assert found is None or (found.isascii() and 0 < len(found) <= 52)
    assert reason is None or not isinstance(value, str) or value not in reason
