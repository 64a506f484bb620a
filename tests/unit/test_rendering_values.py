import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import RenderError
from tests.unit.payloads import CUSTOMER, compiled, fields, render, run, value

NASTY = [
    'Ana "the Boss" Whitfield',
    'Ana", "couponCode": "STOLEN',
    "}}, {{ reward.code }} {% set x = 1 %} {# gone #}",
    '"}}, "campaignId": 1, "x": {"y": "',
    "back\\slash \\u0022 \\",
    "line\nbreak\ttab\r\x00\x1f\x7f",
    "żółć 🎁 \u2028\u2029 \ufeff",
    "null",
    "</script><b>",
    "%s %d {0} {name}",
]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inside: (
        st.lists(inside, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])), inside, max_size=4
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_just_a_name_wherever_it_stands(name: str) -> None:
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
        "plain": name,
        "json": name,
        "text": f"Hello {name}!",
        "set": name,
        "macro": name,
        "list": [name],
        name: True,
        "object": {"n": name},
    }


EVERYWHERE = compiled(
    '{"campaignId": 1, "recipientUserId": "u", "dataFields": {'
    '"a": {{ customer.x | optional }},'
    '"b": {% if true %}{{ customer.x | optional | tojson }}{% endif %},'
    '"c": [{% for y in [1] %}{{ customer.x | optional }}{% endfor %}]}}'
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_any_json_value_arrives_as_it_is(x: Any) -> None:
    sent = run(EVERYWHERE, customer={"id": "cust_1", "x": x})
    assert json.loads(sent.body)["dataFields"] == {"a": x, "b": x, "c": [x]}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("customer.metadata", {"tier": "gold", "nick": None}),
        ("voucher", None),
        ("vouchers", None),
        ("reward.codes", ["WLCM-7Qx2Lp"]),
        ("12.5", 12.5),
        ("true", True),
        ("[]", []),
        ("dict(customer.metadata | optional, more=1) | optional", None),
        ("vouchers | map(attribute='code')", ["WLCM-7Qx2Lp"]),
        ("vouchers | map(attribute='code') | join(', ')", "WLCM-7Qx2Lp"),
        ("customer.metadata.keys()", ["tier", "nick"]),
        ("vouchers | map(attribute='discount') | sum(attribute='amount_off')", 1500),
        ("[1, 2, 3] | sum", 6),
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
    ],
)
def test_an_expression_becomes_its_json_value(expression: str, expected: Any) -> None:
    sent = value(expression)
    assert expected is None or sent == expected


def test_a_key_of_the_data_comes_before_a_method_of_pythons() -> None:
    order = {"items": [{"sku": "bottle"}], "keys": 2}
    assert value("customer.order.items", customer=CUSTOMER | {"order": order}) == [
        {"sku": "bottle"}
    ]


def test_set_blocks_and_macros_are_json_that_is_not_encoded_again() -> None:
    sent = fields(
        '"list": [{{ item(1) }}, {{ item("b") }}], "object": {{ block }}',
        before="{% macro item(x) %}{{ x }}{% endmacro %}"
        '{% set block %}{"code": {{ reward.code }}}{% endset %}',
    )
    assert sent == {"list": [1, "b"], "object": {"code": "WLCM-7Qx2Lp"}}


@pytest.mark.parametrize(
    "expression",
    ['"Hello " ~ block', "block | upper", "[block]", '{"a": block}', "block + 'x'"],
)
def test_json_text_used_as_a_value_is_refused_not_encoded_twice(
    expression: str,
) -> None:
    with pytest.raises(RenderError, match="give JSON, not a value"):
        value(expression, before="{% set block %}{{ customer.name }}{% endset %}")


def test_json_text_in_a_list_of_a_filter_is_refused() -> None:
    with pytest.raises(RenderError, match="give JSON, not a value"):
        value("[customer.name | tojson] | join(', ')")


@pytest.mark.parametrize(
    "expression",
    [
        "customer.none",
        "customer.blank",
        "customer.none | tojson",
        "customer.blank | tojson",
        "customer.none | default('x')",
        "customer.blank | default('', true)",
        "customer.blank | trim",
        "customer.none | upper",
        "customer.none | string",
        "customer.none | int",
        "customer.blank | int",
        "customer.none | money",
        "customer.none | iterable_date",
        '"Hello " ~ customer.none',
        '"Hello " ~ customer.blank',
        '"Hello " ~ (customer.none)',
        '"Hello %s" | format(customer.none)',
        '"Hello %s" % customer.none',
        "[customer.none]",
        '{"a": customer.blank}',
        '{"a": [customer.none]}',
        "{customer.none: 1}",
        "{customer.blank: 1}",
        '{"a": 1, "b": customer.none} | tojson',
        "dict(a=customer.none)",
        "people | map(attribute='name')",
        "people | map(attribute='name') | list",
        "people | map(attribute='name') | join(', ')",
        "[customer.none] | first",
        "put(customer.none)",
        "none",
        '""',
        "'' if true else 1",
    ],
)
def test_an_empty_value_is_an_error_wherever_it_comes_out(expression: str) -> None:
    with pytest.raises(RenderError, match=r"is empty|wrong type|cannot|not for"):
        value(
            expression,
            before="{% macro put(x) %}{{ x }}{% endmacro %}{% set people = "
            "[customer, dict(name=1)] %}",
            customer={"id": "cust_1", "none": None, "blank": "", "name": None},
        )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("customer.none | optional", None),
        ("customer.blank | optional", ""),
        ("customer.absent | optional", None),
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
        ("customer.absent | default('friend', true)", "friend"),
        ("customer.zero", 0),
        ("customer.false", False),
        ("customer.empties", {"a": None, "b": ""}),
        ("vouchers[7] | optional", None),
    ],
)
def test_optional_and_default_say_that_a_value_may_be_empty(
    expression: str, expected: Any
) -> None:
    customer = {
        "id": "cust_1",
        "name": "Ana",
        "none": None,
        "blank": "",
        "zero": 0,
        "false": False,
        "empties": {"a": None, "b": ""},
    }
    assert value(expression, customer=customer) == expected


def test_a_variable_may_start_empty_and_grow() -> None:
    sent = fields(
        '"codes": {{ all.text }}',
        before='{% set all = namespace(text="") %}{% for one in vouchers %}'
        "{% set all.text = all.text ~ one.code ~ ';' %}{% endfor %}",
    )
    assert sent == {"codes": "WLCM-7Qx2Lp;"}


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("voucher | upper", "an object cannot be part of a text"),
        ('"x" ~ vouchers', "a list cannot be part of a text"),
        ("customer.name | join(', ')", "a list is needed, and this is a text"),
        ("vouchers | sum", "`sum` adds numbers only"),
        ("1 | format(2)", "a format must be a text"),
        ("customer.metadata | urlencode", "before `urlencode` is empty"),
        ("customer.name + 1", r"`\+` is not for a text and a number"),
        ("customer.nothing + 1", r"`\+` is not for nothing and a number"),
        ("range", "a value is nothing that JSON has"),
        ("customer.endless", "a number is not finite"),
        ("'abc' is odd", "`odd` is for whole numbers"),
        ("customer[1.5]", "must be a text or an index, not a number"),
    ],
)
def test_what_a_value_is_not_made_for_is_refused_in_plain_words(
    expression: str, reason: str
) -> None:
    customer = CUSTOMER | {"nothing": None, "endless": float("inf")}
    with pytest.raises(RenderError, match=reason):
        value(expression, customer=customer)


def test_a_loop_over_nothing_is_an_error_unless_it_is_optional() -> None:
    loop = "{%% for x in customer.nothing%s %%}{{ x }}{%% endfor %%}"
    customer = CUSTOMER | {"nothing": None}
    assert fields(loop % " | optional", customer=customer) == {}
    with pytest.raises(RenderError, match="the loop goes over is empty"):
        fields(loop % "", customer=customer)


def test_half_a_character_typed_in_a_template_is_refused() -> None:
    with pytest.raises(RenderError, match="lone surrogate"):
        value(r'"\ud83c"')


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-08-20T09:15:11.880Z", "2026-08-20 09:15:11 +00:00"),
        ("2026-08-20T09:15:11.880123Z", "2026-08-20 09:15:11 +00:00"),
        ("2026-08-20T09:15:11Z", "2026-08-20 09:15:11 +00:00"),
        ("2026-08-20T23:15:11+02:00", "2026-08-20 21:15:11 +00:00"),
        ("2026-08-20T09:15:11.880", "2026-08-20 09:15:11 +00:00"),
        ("2024-05-13T12: 26: 06.250Z", "2024-05-13 12:26:06 +00:00"),
        ("2026-08-20", "2026-08-20"),
    ],
)
def test_iterable_date_writes_utc(when: str, expected: str) -> None:
    sent = value("customer.at | iterable_date", customer={"id": "cust_1", "at": when})
    assert sent == expected


@pytest.mark.parametrize(
    "when", ["soon", "2026-13-40", "0001-01-01T00:00:00+14:00", 20260820, {"a": 1}, ""]
)
def test_iterable_date_refuses_what_is_no_time(when: Any) -> None:
    with pytest.raises(RenderError, match="iterable_date"):
        value("customer.at | iterable_date", customer={"id": "cust_1", "at": when})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1500 | money", "15.00"),
        ("1505 | money('EUR')", "15.05 EUR"),
        ("-150 | money", "-1.50"),
        ("0 | money", "0.00"),
        ("7.0 | money", "0.07"),
        ("voucher.discount.amount_off | money(currency='USD')", "15.00 USD"),
    ],
)
def test_money_writes_cents_with_two_decimals(expression: str, expected: str) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize("cents", ["'1500'", "15.5", "true", "[1]"])
def test_money_refuses_what_is_no_number_of_cents(cents: str) -> None:
    with pytest.raises(RenderError, match="whole number of cents"):
        value(f"{cents} | money")


def test_the_same_template_and_reward_give_the_same_bytes() -> None:
    source = '{"campaignId": 1, "recipientUserId": "u", "dataFields": {{ customer }}}'
    assert render(source) == render(source)
