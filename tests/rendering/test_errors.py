"""What is wrong with a template: named with its line, and with nothing personal."""

import traceback
from pathlib import Path

import pytest

from bridge.errors import ConfigError, RenderError
from bridge.rendering import Names, lint
from tests.rendering.payloads import (
    CUSTOMER,
    fields,
    render,
    value,
)

NAMES = Names(
    roots=frozenset({"reward", "customer", "voucher", "vouchers", "recipient"}),
    fields={"reward": frozenset({"code", "codes", "name"})},
)


def problems(folder: Path, source: str) -> list[str]:
    (folder / "t.json.j2").write_text(source, encoding="utf-8")
    return [str(problem) for problem in lint(folder, "t.json.j2", NAMES)]


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('{\n"a": "{{ reward.code }}"\n}', [2]),
        ('{\n"a":\n"Hello {{ customer.name }}!",\n"b": "{{ 1 }}"}', [3, 4]),
        ('{"a": "say \\"{{ reward.code }}\\""}', [1]),
        ('{"{{ reward.code }}": 1}', [1]),
        ('{"a": "{{- reward.code -}}"}', [1]),
        ('{# "quoted" #}{"a": "{# x #}{{ reward.code }}"}', [1]),
        ('{% macro m(x) %}\n"{{ x }}"\n{% endmacro %}{{ m(1) }}', [2]),
        ('{"a": {{ reward.code }}, "b": "text", "c": {{ "q " ~ reward.code }}}', []),
        ('{"a": {{ reward.code }}, "b": "an \\" escaped one", "c": {{ 1 }}}', []),
        ('{"a": "{% raw %}{{ not.ours }}{% endraw %}", "b": {{ 1 }}}', []),
        ('{"a": "back\\\\", "b": {{ reward.code }}}', []),
        ('{# he said "hello #}{"a": {{ reward.code }}}', []),
    ],
)
def test_quotes_typed_around_an_expression_are_found_with_their_line(
    tmp_path: Path, source: str, lines: list[int]
) -> None:
    found = problems(tmp_path, source)
    assert [one.split(": ")[1] for one in found] == [f"line {one}" for one in lines]
    assert all("quotes around" in one for one in found)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "{\n{{ rewrd.code }}",
            "line 2: `rewrd` is not defined. Did you mean `reward`",
        ),
        ("\n\n{{ lipsum() }}", "line 3: `lipsum` is not defined"),
        ("{{ reward.cod }}", "line 1: reward has no `cod`. Did you mean `code`?"),
        ("{{ 1 | uper }}", "line 1: there is no filter `uper`. Did you mean `upper`?"),
        ("{% if 0 %}\n{{ 1 | uper }}{% endif %}", "line 2: there is no filter `uper`"),
        ("{{ 1 | safe }}", "line 1: there is no filter `safe`"),
        ("{{ 1 is nice }}", "line 1: there is no test `nice`"),
        ("{{ 1", "line 1: unexpected end of template"),
        ("{% nope %}", "line 1: Encountered unknown tag 'nope'"),
        ("\n{% include 'x' %}", "line 2: `{% include %}` is not available"),
        ("{% from 'x' import y %}", "line 1: `{% from %}` is not available"),
        ("{% block x %}{% endblock %}", "line 1: `{% block %}` is not available"),
        ("{% filter upper %}x{% endfilter %}", "line 1: `{% filter %}` is not avail"),
        ("{% set x | upper %}a{% endset %}", "line 1: a filter on a set block"),
        ("{% for x in [] recursive %}{% endfor %}", "line 1: `recursive` is not"),
        ("{{ 1e999 }}", "line 1: a number is too large"),
        ("{{ customer.__class__ }}", "line 1: `__class__` is out of bounds"),
    ],
)
def test_what_can_be_known_before_is_found_with_its_line(
    tmp_path: Path, source: str, message: str
) -> None:
    [found] = problems(tmp_path, source)
    assert found.startswith(f"t.json.j2: {message}")


@pytest.mark.parametrize(
    "source",
    [
        "{% if voucher %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}",
        "{% for one in vouchers %}{{ loop.index }}{{ one.code }}{% endfor %}",
        "{% macro m(a, b=1) %}{{ a }}{{ varargs }}{% endmacro %}{{ m(1) }}",
        "{% with x = 1 %}{{ x }}{% endwith %}",
        "{% set reward = customer %}{{ reward.anything }}",
        "{{ reward.points is defined }}{{ reward.points | default(1) }}",
        "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}",
        "{{ {{}: 1} }}{{ [] | first or 1 }}",
    ],
)
def test_what_may_work_is_no_problem(tmp_path: Path, source: str) -> None:
    assert problems(tmp_path, source) == []


@pytest.mark.parametrize(
    "members",
    [
        *('"x": {{ customer.nick }}', '"x": {{ customer["nick"] }}'),
        *('"x": {{ customer.metadata.deeper.nick }}', '"x": {{ customer.nick[0] }}'),
        *('"x": {{ customer.nick | upper }}', '"x": {{ [customer.nick] }}'),
        *('"x": {{ "Hello " ~ customer.nick }}', '"x": {{ "Hello " + customer.nick }}'),
        *('"x": {{ "Hello %s" | format(customer.nick) }}', '"x": {{ vouchers[7] }}'),
        '"x": {{ vouchers | map(attribute="nick") | join(",") }}',
        *('"x": {{ customer.nick == "a" }}', '"x": {{ customer.nick is none }}'),
        *('"x": {{ customer.nick() }}', '"x": {{ customer.nick.strip() }}'),
        "{% macro m(x) %}{{ x }}{% endmacro %}" + '"x": {{ m(customer.nick) }}',
        "{% for one in customer.nick %}{% endfor %}",
        "{% if customer.nick %}{% endif %}",
        '"x": {{ 1 if customer.nick else 2 }}',
        '"x": {{ [] | first }}',
    ],
)
def test_what_is_not_there_is_an_error_wherever_it_is_used(members: str) -> None:
    with pytest.raises(RenderError, match=r"has no|No first item"):
        fields(members)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (
            '{\n "to": {{ 1 }},\n\n "fields" {{ "u" }}\n}',
            "line 4: the result is not JSON",
        ),
        ("", "the result is not JSON"),
        ("[]", "must be an object"),
        ('{"to": 1, "to": 2}', "the same key twice"),
        ('{"to": NaN}', "not finite"),
        ('{"to": "\\ud83c"}', "lone surrogate"),
        ('{"to": ' + "[" * 20_000 + "]" * 20_000 + "}", "nested too deeply"),
        ('{"fields": {}}', "`to` is missing"),
        ('{"to": 1, "subject": 2}', "`subject` is no key of email/target"),
    ],
)
def test_what_is_around_the_expressions_is_checked(source: str, reason: str) -> None:
    with pytest.raises(RenderError, match=reason):
        render(source)


def test_a_payload_is_compact_and_leaves_out_what_is_null_at_the_top() -> None:
    sent = render('{ "to": {{ "żółć" }},\n "subject": null, "fields": {"a": null} }')
    assert sent.body == '{"to":"żółć","fields":{"a":null}}'.encode()


SECRETS = ("ana.whitfield@shop.example", "Ana Whitfield", "crm-10482", "WLCM-7Qx2Lp")


@pytest.mark.parametrize(
    "source",
    [
        *("{{ voucher[customer.email] }}", "{{ customer.email.nick }}"),
        "{{ vouchers | map(attribute=customer.email) | list }}",
        "{{ vouchers | sort(attribute=customer.email) }}",
        "{{ customer | attr(customer.email) }}",
        "{{ customer.email | int(base=customer.name) }}",
        *("{{ customer.email + 1 }}", "{{ customer.email * 2 }}"),
        *("{{ customer.email() }}", "{{ customer.email | round }}"),
        *("{{ customer.email | money }}", "{{ customer.email | iterable_date }}"),
        *("{{ customer.email | date }}", "{{ 1 | number(locale=customer.email) }}"),
        "{{ voucher.expiration_date | date(tz=customer.email) }}",
        '{{ "%d" | format(customer.email) }}',
        "{{ customer.name | format(customer.email) }}",
        '{{ "%(a)s" | format(b=customer.email) }}',
        "{{ [customer.email, 1] | sort }}",
        "{{ vouchers | map(customer.email) | list }}",
        *(
            "{{ customer.name.index(customer.email) }}",
            "{{ [1].index(customer.email) }}",
        ),
        *("{{ range(customer.email) }}", "{{ customer }}", "{{ customer.email }}"),
        "{ {{ customer.email }}: 1, {{ customer.email }}: 2 }",
        '{"to": 1 {{ customer.email }} }',
        "{% set ns = namespace(a=customer.email) %}{{ ns }}",
        "{% macro m(a) %}{% endmacro %}{{ m(**{customer.email: 1}) }}",
        "{{ 1 is divisibleby(customer.email) }}",
    ],
)
def test_an_error_never_says_anything_personal(source: str) -> None:
    with pytest.raises(RenderError) as caught:
        render(source)
    said = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert not [secret for secret in SECRETS if secret in said]
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "customer.__class__",
            "customer['__class__']",
            "customer | attr('__class__')",
        ),
        *("customer.name.__class__.__mro__", "customer.name['__class__']"),
        "vouchers | map(attribute='__class__') | list",
        *("reward.codes.__init__.__globals__", "m.__globals__", "m._func"),
        *("range.__self__", "dict.__base__", "namespace.__init__", "ns.__class__"),
        *("''.join.__self__", "'{0.__class__}'.format(customer)", "'%s'.__mod__(1)"),
        *("customer.clear()", "customer.update({'id': 1})", "vouchers.pop()"),
        *("reward.codes.append('x')", "customer.name.format_map(customer)"),
    ],
)
def test_there_is_no_way_out_of_the_sandbox(expression: str) -> None:
    customer = dict(CUSTOMER)
    before = "{% macro m() %}{% endmacro %}{% set ns = namespace(a=1) %}"
    with pytest.raises((ConfigError, RenderError), match=r"out of b|has no|not allow"):
        value(expression, before=before, customer=customer)
    assert customer == CUSTOMER
