import traceback

import pytest

from bridge.errors import RenderError
from tests.unit.payloads import CUSTOMER, fields, payload, render, value


@pytest.mark.parametrize(
    "members",
    [
        '"x": {{ customer.nick }}',
        '"x": {{ customer["nick"] }}',
        '"x": {{ customer.metadata.deeper.nick }}',
        '"x": {{ customer.nick | tojson }}',
        '"x": {{ customer.nick | upper }}',
        '"x": {{ [customer.nick] }}',
        '"x": {{ {"a": {"b": customer.nick}} | tojson }}',
        '"x": {{ "Hello " ~ customer.nick }}',
        '"x": {{ "Hello " + customer.nick }}',
        '"x": {{ "Hello %s" | format(customer.nick) }}',
        '"x": {{ vouchers | map(attribute="nick") | list }}',
        '"x": {{ vouchers | map(attribute="nick") | join(",") }}',
        '"x": {{ customer.nick == "a" }}',
        '"x": {{ "a" in customer.nick }}',
        '"x": {{ customer.nick is none }}',
        '"x": {{ customer.name | replace("a", customer.nick) }}',
        '"x": {{ voucher[customer.nick] }}',
        '"x": {{ customer.nick.strip() }}',
        '"x": {{ customer.nick[0] }}',
        '"x": {{ customer.nick() }}',
        "{% set b %}{{ customer.nick }}{% endset %}",
        "{% macro m() %}{{ customer.nick }}{% endmacro %}" + '"x": {{ m() }}',
        "{% macro m(x) %}{{ x }}{% endmacro %}" + '"x": {{ m(customer.nick) }}',
        "{% for one in customer.nick %}{% endfor %}",
        '{% for one in vouchers %}"x": {{ one.nick }}{% endfor %}',
        "{% if customer.nick %}{% endif %}",
        "{% if customer.name and not customer.nick %}{% endif %}",
        '"x": {{ 1 if customer.nick else 2 }}',
        '"x": {{ reward.nick }}',
        '"x": {{ vouchers[7] }}',
        '"x": {{ [] | first }}',
    ],
)
def test_what_is_not_there_is_an_error_wherever_it_is_used(members: str) -> None:
    with pytest.raises(RenderError, match=r"has no|No first item"):
        fields(members)


@pytest.mark.parametrize(
    "expression",
    ["'x' if false", "('x' if false) | upper", "'a' ~ ('x' if false)", "m()"],
)
def test_an_if_without_else_is_no_way_around(expression: str) -> None:
    with pytest.raises(RenderError, match=r"if|not provided|not defined"):
        value(expression, before="{% macro m(x) %}{{ x }}{% endmacro %}")


def test_optional_does_not_hide_a_name_that_nothing_has() -> None:
    with pytest.raises(RenderError, match="`late` is not defined"):
        value("late | optional", before="{% if false %}{% set late = 1 %}{% endif %}")


def test_whether_something_is_there_can_be_asked() -> None:
    assert value("customer.nick is defined") is False
    assert value("customer.name is defined and customer.name is string") is True


def test_the_error_names_the_object_the_field_and_the_line() -> None:
    source = (
        '{\n  "campaignId": 1,\n  "dataFields": {\n    "x": {{ customer.nick }}\n  }\n}'
    )
    with pytest.raises(RenderError) as caught:
        payload(source)
    assert str(caught.value) == "t.json.j2 line 4: customer has no `nick`"
    assert (caught.value.template, caught.value.line) == ("t.json.j2", 4)


def test_the_line_is_the_one_inside_the_macro() -> None:
    source = "{% macro m() %}\n{{ customer.nick }}\n{% endmacro %}\n\n{{ m() }}"
    with pytest.raises(RenderError) as caught:
        payload(source)
    assert caught.value.line == 2


def test_the_line_of_broken_json_is_found() -> None:
    source = '{\n "campaignId": {{ 1 }},\n\n "recipientUserId" {{ "u" }}\n}'
    with pytest.raises(RenderError) as caught:
        payload(source)
    assert str(caught.value).startswith("t.json.j2 line 4: the result is not JSON")


SECRETS = ("ana.whitfield@shop.example", "Ana Whitfield", "crm-10482", "WLCM-7Qx2Lp")


@pytest.mark.parametrize(
    "source",
    [
        "{{ voucher[customer.email] }}",
        "{{ body[customer.email].x }}",
        "{{ vouchers | map(attribute=customer.email) | list }}",
        "{{ vouchers | sort(attribute=customer.email) }}",
        "{{ customer | attr(customer.email) }}",
        "{{ customer.email | int(base=customer.name) }}",
        "{{ customer.email + 1 }}",
        "{{ customer.email * 2 }}",
        "{{ customer.email() }}",
        "{{ customer.email.nick }}",
        "{{ customer.email | round }}",
        "{{ customer.email | money }}",
        "{{ customer.email | iterable_date }}",
        "{{ customer.email | truncate(-1) }}",
        '{{ "%d" | format(customer.email) }}',
        "{{ customer.name | format(customer.email) }}",
        '{{ "%(a)s" | format(b=customer.email) }}',
        "{{ [customer.email, 1] | sort }}",
        "{{ [customer.email, 1] | sum }}",
        "{{ customer.email | map(customer.email) | list }}",
        "{{ vouchers | map(customer.email) | list }}",
        "{{ vouchers | select(customer.email) | list }}",
        "{{ customer.name.index(customer.email) }}",
        "{{ [1].index(customer.email) }}",
        "{{ customer.name.split('') }}",
        "{{ range(customer.email) }}",
        "{{ {customer: 1} }}",
        "{{ customer }}",
        "{{ customer.email }}",
        '{"campaignId": {{ customer.email }}, "recipientUserId": {{ customer.email }}}',
        "{ {{ customer.email }}: 1 }",
        '{"campaignId": 1, "recipientUserId": "u", "sendAt": {{ customer.email }}}',
        '{"campaignId": 1 {{ customer.email }} }',
        '{"a": {{ customer.email }}, "a": {{ reward.code }} }',
        "{% for x in 1 %}{% endfor %}{{ customer.email }}",
        "{% set ns = namespace(a=customer.email) %}{{ ns }}",
        "{% set ns = namespace(unsafe_callable=customer.email) %}{{ ns() }}",
        "{% macro m(a) %}{% endmacro %}{{ m(1, customer.email) }}",
        "{% macro m(a) %}{% endmacro %}{{ m(**{customer.email: 1}) }}",
        "{{ 1 is divisibleby(customer.email) }}",
        "{{ customer.email is divisibleby(2) }}",
    ],
)
def test_an_error_never_says_anything_personal(source: str) -> None:
    with pytest.raises(RenderError) as caught:
        render(source)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not [secret for secret in SECRETS if secret in told]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "expression",
    [
        "customer.__class__",
        "customer.name.__class__.__mro__",
        "customer['__class__']",
        "customer.name['__class__']",
        "customer | attr('__class__')",
        "customer.name | attr('__class__')",
        "vouchers | map(attribute='__class__') | list",
        "reward.codes.__init__.__globals__",
        "m.__globals__",
        "m._func",
        "m._environment",
        "range.__self__",
        "dict.__base__",
        "namespace.__init__",
        "ns.__class__",
        "ns._Namespace__attrs",
        "''.join.__self__",
        "'{0.__class__}'.format(customer)",
        "'%s'.__mod__(1)",
        "customer.get.__self__",
        "customer.clear()",
        "customer.update({'id': 1})",
        "reward.codes.append('x')",
        "vouchers.pop()",
        "customer.name.encode()",
        "(1).to_bytes(4, 'big')",
        "customer.name.format_map(customer)",
    ],
)
def test_there_is_no_way_out_of_the_sandbox(expression: str) -> None:
    with pytest.raises(RenderError, match=r"out of bounds|has no"):
        value(
            expression,
            before="{% macro m() %}{% endmacro %}{% set ns = namespace(a=1) %}",
        )


def test_a_template_cannot_change_what_the_next_one_sees() -> None:
    customer = dict(CUSTOMER)
    value("(customer.metadata.values() | list | optional)", customer=customer)
    assert customer == CUSTOMER
