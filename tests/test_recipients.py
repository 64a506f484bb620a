"""Whom a route's rules name, and how they fail without repeating a name."""

from pathlib import Path
from typing import Any

import pytest

from bridge.config import Lookup, RecipientRule
from bridge.errors import RecipientError
from bridge.model import Customer, Recipient
from bridge.recipients import recipient_of

TABLE = Lookup(
    path=Path("somewhere/users.csv"),
    table={"crm-1": "user-1", "ana@shop.example": "user-ana", "77": "user-77"},
)


def find(
    *rules: RecipientRule, source_id: Any = None, email: Any = None, check: Any = None
) -> Recipient:
    customer = Customer(source_id=source_id, email=email)
    return recipient_of(customer, rules, check=check)


def reason(*rules: RecipientRule, **customer: Any) -> str:
    with pytest.raises(RecipientError) as caught:
        find(*rules, **customer)
    return caught.value.reason


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("crm-10482", "crm-10482"),
        (" Ana Whitfield", " Ana Whitfield"),
        ("zo\u00eb", "zo\u00eb"),
        (10482, "10482"),
        (0, "0"),
        (2**63, "9223372036854775808"),
    ],
)
def test_a_source_id_is_taken_as_it_is(value: Any, expected: str) -> None:
    assert find("source_id", source_id=value) == Recipient(user_id=expected)  # type: ignore[arg-type] # a NewType


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "has no source id"),
        ("", "has not 1 to 255 characters"),
        ("x" * 256, "has not 1 to 255 characters"),
        ("a\nb", "characters that cannot be sent"),
        ("a\ufffd", "characters that cannot be sent"),
        (True, "neither a text nor a whole number"),
        (1.0, "neither a text nor a whole number"),
        ({"id": "crm-1"}, "neither a text nor a whole number"),
    ],
)
def test_a_source_id_that_names_nobody_is_an_error(value: Any, said: str) -> None:
    assert said in reason("source_id", source_id=value)


def test_the_first_rule_that_yields_wins() -> None:
    both = {"source_id": "crm-9", "email": " leo@shop.example "}
    assert find("source_id", "email", **both).user_id == "crm-9"
    assert find("email", "source_id", **both).email == "leo@shop.example"


def test_a_name_the_destination_rejects_leaves_it_to_the_next_rule() -> None:
    def check(recipient: Recipient) -> None:
        if recipient.user_id is not None:
            raise RecipientError("the destination rejects it")

    both = {"source_id": "crm-9", "email": "leo@shop.example"}
    assert find("source_id", "email", **both, check=check).email == "leo@shop.example"
    assert "rejects" in reason("source_id", **both, check=check)


def test_where_no_rule_yields_the_first_ones_reason_is_given() -> None:
    said = reason("source_id", "email", TABLE)
    assert said == "the customer has no source id (nor does another rule help)"
    assert "no way to find" in reason(source_id="crm-1")


def test_the_lookup_tries_the_source_id_and_then_the_address() -> None:
    both = {"source_id": "crm-1", "email": "ana@shop.example"}
    assert find(TABLE, **both).user_id == "user-1"
    other = both | {"source_id": "crm-2", "email": " Ana@Shop.example "}
    assert find(TABLE, **other).user_id == "user-ana"
    assert find(TABLE, source_id=77).user_id == "user-77"
