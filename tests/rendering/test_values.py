"""Every expression is one JSON value, and no empty one is sent by accident."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RenderError
from tests.rendering.payloads import CUSTOMER, compiled, fields, render, run, value

NASTY = [
    'Ana "the Boss" Whitfield',
    'Ana", "couponCode": "STOLEN',
    "}}, {{ reward.code }} {% set x = 1 %} {# gone #}",
    "back\\slash \\u0022 \\",
    "line\nbreak\ttab\r\x00\x1f\x7f",
    "żółć 🎁 \u2028\u2029 \ufeff",
    "</script><b>",
    "%s %d {0} {name}",
]
_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | _TEXT
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inside: st.lists(inside, max_size=4)
    | st.dictionaries(_TEXT, inside, max_size=4),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_just_a_name_wherever_it_is(name: str) -> None:
    sent = fields(
        '"plain": {{ customer.name }}, "json": {{ customer.name | tojson }}, '
        '"text": {{ "Hello " ~ customer.name ~ "!" }}, "set": {{ block }}, '
        '"macro": {{ put(customer.name) }}, "list": {{ [customer.name] }}, '
        '{{ customer.name }}: true, "object": {{ {"n": customer.name} }}',
        before="{% macro put(x) %}{{ x }}{% endmacro %}"
        "{% set block %}{{ customer.name }}{% endset %}",
        customer=CUSTOMER | {"name": name},
    )
    assert sent == {
        **dict.fromkeys(("plain", "json", "set", "macro"), name),
        "text": f"Hello {name}!",
        "list": [name],
        name: True,
        "object": {"n": name},
    }


EVERYWHERE = compiled(
    '{"to": 1, "fields": {"a": {{ customer.x | optional }},'
    '"b": {% if true %}{{ customer.x | optional | tojson }}{% endif %},'
    '"c": [{% for y in [1] %}{{ customer.x | optional }}{% endfor %}]}}'
)


@settings(max_examples=100, deadline=None)
@given(JSON)
def test_any_json_value_arrives_as_it_is(x: Any) -> None:
    sent = run(EVERYWHERE, customer={"id": "cust_1", "x": x})
    assert json.loads(sent.body)["fields"] == {"a": x, "b": x, "c": [x]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("customer.metadata", {"tier": "gold", "nick": None}),
        ("reward.codes", ["WLCM-7Qx2Lp"]),
        ("12.5", 12.5),
        ("true", True),
        ("[]", []),
        ("dict(customer.metadata, more=1).tier", "gold"),
        ("vouchers | map(attribute='code')", ["WLCM-7Qx2Lp"]),
        ("vouchers | map(attribute='code') | join(', ')", "WLCM-7Qx2Lp"),
        ("customer.metadata.keys()", ["tier", "nick"]),
        ("vouchers | map(attribute='discount') | sum(attribute='amount_off')", 1500),
        ("customer.name[:3] | upper", "ANA"),
        ("customer.name.split(' ')", ["Ana", "Whitfield"]),
        ('"%s has %.1f" | format(customer.name, 2)', "Ana Whitfield has 2.0"),
        ('"%05d" % 7', "00007"),
        ("customer['name']", "Ana Whitfield"),
        ("7 // 2 + 2 ** 3 - 5 % 3", 9),
        ("vouchers[0].code", "WLCM-7Qx2Lp"),
        ("(vouchers | groupby('type') | first).grouper", "DISCOUNT_VOUCHER"),
        ("'yes' if customer.metadata.tier == 'gold' else 'no'", "yes"),
        ("3 is odd", True),
        ("customer.name | length", 13),
        ("range(3) | list", [0, 1, 2]),
        ('"<b>" | e', "&lt;b&gt;"),
        ('"3" + "4"', "34"),
        ('"3" * 4', 12),
        ('"1.5" + 1', 2.5),
        ('"value: " ~ true', "value: true"),
        ('10.0 ~ " EUR"', "10 EUR"),
        ("voucher.discount.amount_off / 100 ~ ''", "15"),
        ("customer.metadata.nick is none", True),
        ("customer.metadata.nick is defined", True),
        ("customer.metadata.nope is defined", False),
        ("1 if customer.metadata.nick else 2", 2),
        ("customer.metadata.nick == none", True),
    ],
)
def test_an_expression_becomes_its_json_value(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    "expression",
    ['"Hello " ~ block', "block | upper", "[block]", '{"a": block}', "block + 'x'",
     "[customer.name | tojson] | join(', ')"],
)  # fmt: skip
def test_json_text_used_as_a_value_is_refused_not_encoded_twice(
    expression: str,
) -> None:
    with pytest.raises(RenderError, match="give JSON, not a value"):
        value(expression, before="{% set block %}{{ customer.name }}{% endset %}")


@pytest.mark.parametrize(
    "expression",
    [
        *("customer.none", "customer.blank", "customer.none | tojson", "none", '""'),
        *("customer.none | default('x')", "customer.blank | default('', true)"),
        *("customer.blank | trim", "customer.none | upper", "customer.none | string"),
        *("customer.none | int", "customer.blank | float", "customer.none | money"),
        *("customer.none | iterable_date", "customer.none | date"),
        *('"Hello " ~ customer.none', '"Hello " ~ customer.blank', '"Hi " ~ none'),
        *('"Hello %s" | format(customer.none)', '"Hello %s" % customer.none'),
        *("[customer.none]", '{"a": customer.blank}', "{customer.none: 1}"),
        *("dict(a=customer.none)", "people | map(attribute='name') | list"),
        *("people | map(attribute='name') | join(', ')", "[none] | join(', ')"),
        *("put(customer.none)", "'' if true else 1", "customer.none + 1"),
        *("customer.values() | join", "customer.none.deeper"),
    ],
)
def test_an_empty_value_is_an_error_wherever_it_comes_out(expression: str) -> None:
    with pytest.raises(RenderError, match=r"is empty|empty, or no text|not for"):
        value(
            expression,
            before="{% macro put(x) %}{{ x }}{% endmacro %}"
            "{% set people = [customer, dict(name=1)] %}",
            customer={"id": "cust_1", "none": None, "blank": "", "name": None},
        )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("customer.none | optional", None),
        ("customer.blank | optional", ""),
        ("customer.absent | optional", None),
        ("customer.absent.deeper | optional", None),
        ("customer.none | optional | tojson", None),
        ("customer.none | optional | upper", None),
        ("customer.name | optional | upper", "ANA"),
        ("[customer.none] | optional", [None]),
        ("[customer.none | optional, 1]", [None, 1]),
        ('{"a": customer.blank | optional}', {"a": ""}),
        ('"Hello " ~ (customer.none | optional)', "Hello "),
        ("[customer.name, customer.none | optional] | join('-')", "Ana-"),
        ("customer.none | default('friend', true)", "friend"),
        ("customer.blank | default('friend', true)", "friend"),
        ("customer.none | optional | default('friend', true)", "friend"),
        ("customer.absent | default('friend')", "friend"),
        ("customer.zero", 0),
        ("customer.false", False),
        ("customer.empties", {"a": None, "b": ""}),
        ("vouchers[7] | optional", None),
    ],
)
def test_optional_and_default_say_that_a_value_may_be_empty(
    expression: str, expected: Any
) -> None:
    customer: dict[str, Any] = {"name": "Ana", "none": None, "blank": ""}
    customer |= {"zero": 0, "false": False, "empties": {"a": None, "b": ""}}
    assert value(expression, customer=customer) == expected


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("voucher | upper", "an object cannot be part of a text"),
        ('"x" ~ vouchers', "a list cannot be part of a text"),
        ("customer.name | join(', ')", "a list is needed, and this is a text"),
        ("1 | format(2)", "a format must be a text"),
        ("customer.name + 1", r"`\+` is not for a text and a number"),
        ("customer.name * 2", r"`\*` is not for a text and a number"),
        ("[1] * 2", r"`\*` is not for a list and a number"),
        ("customer.name | int", "`int` got a text that is no number"),
        ("customer.name | float", "`float` got a text that is no number"),
        ("true | int", "`int` got a truth value that is no number"),
        ("customer | float", "`float` got an object that is no number"),
        ("range", "a value is nothing that JSON has"),
        ("customer.endless", "a number is not finite"),
        ("customer[1.5]", "must be a text or an index, not a number"),
        (r'"\ud83c"', "lone surrogate"),
        ("1 / 0", "division by zero"),
    ],
)
def test_what_a_value_is_not_made_for_is_refused_in_plain_words(
    expression: str, reason: str
) -> None:
    with pytest.raises(RenderError, match=reason):
        value(expression, customer=CUSTOMER | {"endless": float("inf")})


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
        "{% endfor %}",
        "{{ range(10 ** 9) }}",
        "{{ 9 ** 9 ** 9 }}",
        '{{ "x" * 10 ** 9 }}',
        '{{ "x" | center(10 ** 9) }}',
        '{{ "x".center(10 ** 9) }}',
        '{{ "%1000000000d" % 1 }}',
        '{% set n = namespace(t="xxxxxxxx") %}{% for a in range(99) %}'
        "{% set n.t = n.t ~ n.t %}{% endfor %}",
        "{% set n = namespace(t=[1, 2]) %}{% for a in range(60) %}"
        "{% set n.t = [n.t, n.t] %}{% endfor %}{{ n.t }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in range(99999) %}{{ customer.long }}{% endfor %}",
    ],
)
def test_a_template_is_bounded_in_time_and_size(source: str) -> None:
    with pytest.raises(RenderError):
        render(source, customer={"long": "x" * 90_000})
