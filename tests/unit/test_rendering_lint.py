from pathlib import Path

import pytest

from bridge.errors import ConfigError, Problem
from bridge.rendering import Templates, lint

GOOD = '{"campaignId": 1, "recipientUserId": {{ recipient.user_id }}}'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.json.j2").write_text(GOOD)
    return tmp_path


def problems(folder: Path, source: str) -> list[str]:
    (folder / "t.json.j2").write_text(source, encoding="utf-8")
    return [str(problem) for problem in lint(folder, "t.json.j2")]


def test_a_good_template_has_no_problem(folder: Path) -> None:
    assert lint(folder, "good.json.j2") == []


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ('{\n"a": "{{ reward.code }}"\n}', [2]),
        ('{\n"a":\n"Hello {{ customer.name }}!",\n"b": "{{ 1 }}"}', [3, 4]),
        ('{"a": "say \\"{{ reward.code }}\\""}', [1]),
        ('{"{{ reward.code }}": 1}', [1]),
        ('{"a": "{% if voucher %}\\n{{ voucher.code }}{% endif %}"}', [1]),
        ('{"a": "{{- reward.code -}}"}', [1]),
        ('{# "quoted" #}{"a": "{# x #}{{ reward.code }}"}', [1]),
        ('{"a": "{{ 1 }} and {{ 2 }}"}', [1]),
        ('{% macro m(x) %}\n"{{ x }}"\n{% endmacro %}{{ m(1) }}', [2]),
    ],
)
def test_quotes_typed_around_an_expression_are_found_with_their_line(
    folder: Path, source: str, lines: list[int]
) -> None:
    found = problems(folder, source)
    assert [
        f"t.json.j2: line {line}: quotes around" in one
        for line, one in zip(lines, found, strict=True)
    ] == [True] * len(lines)


@pytest.mark.parametrize(
    "source",
    [
        '{"a": {{ reward.code }}, "b": "text", "c": {{ "quoted " ~ reward.code }}}',
        '{"a": {{ reward.code }}, "b": "an \\" escaped one", "c": {{ 1 }}}',
        '{"a": "{% raw %}{{ not.ours }}{% endraw %}", "b": {{ 1 }}}',
        '{"a": "back\\\\", "b": {{ reward.code }}}',
        '{# he said "hello #}{"a": {{ reward.code }}}',
        '{ {{ reward.code }}: "x" }',
    ],
)
def test_quotes_elsewhere_are_fine(folder: Path, source: str) -> None:
    assert problems(folder, source) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{\n{{ rewrd.code }}", "line 2: `rewrd` is not defined"),
        ("\n\n{{ lipsum() }}", "line 3: `lipsum` is not defined"),
        ("{{ caller() }}", "line 1: `caller` is not defined"),
        ("{{ 1 | uper }}", "line 1: there is no filter `uper`"),
        ("{% if 0 %}\n{{ 1 | uper }}{% endif %}", "line 2: there is no filter `uper`"),
        ("{{ 1 | safe }}", "line 1: there is no filter `safe`"),
        ("{{ 1 is nice }}", "line 1: there is no test `nice`"),
        ("{{ [1] | random }}", "line 1: there is no filter `random`"),
        ("{{ 1", "line 1: unexpected end of template"),
        ("{\n\n{{ 1 + }}", "line 3: "),
        ("{% nope %}", "line 1: Encountered unknown tag 'nope'"),
        ("{% if 1 %}", "line 1: Unexpected end of template"),
        ("\n{% include 'x' %}", "line 2: `{% include %}` is not available"),
        ("{% import 'x' as x %}", "line 1: `{% import %}` is not available"),
        ("{% from 'x' import y %}", "line 1: `{% from %}` is not available"),
        ("{% extends 'x' %}", "line 1: `{% extends %}` is not available"),
        ("{% block x %}{% endblock %}", "line 1: `{% block %}` is not available"),
        ("{% filter upper %}x{% endfilter %}", "line 1: `{% filter %}` is not avail"),
        ("{% autoescape true %}{% endautoescape %}", "line 1: `{% autoescape %}` is"),
        (
            "{% macro m() %}{% endmacro %}{% call m() %}{% endcall %}",
            "line 1: `{% call %}` is not available",
        ),
        ("{% set x | upper %}a{% endset %}", "line 1: a filter on a set block"),
        ("{% for x in [] recursive %}{% endfor %}", "line 1: `recursive` is not"),
    ],
)
def test_what_can_be_known_before_is_found_with_its_line(
    folder: Path, source: str, message: str
) -> None:
    found = problems(folder, source)
    assert len(found) == 1
    assert found[0].startswith(f"t.json.j2: {message}")


def test_all_faults_of_all_templates_are_told_at_once(folder: Path) -> None:
    (folder / "one.json.j2").write_text('{{ a }}\n"{{ 1 }}"\n{{ b }}')
    (folder / "two.json.j2").write_text("{{ 1")
    names = ["two.json.j2", "good.json.j2", "one.json.j2", "none.json.j2"]
    with pytest.raises(ConfigError) as caught:
        Templates(folder, names)
    assert [str(one).split(": ")[0:2] for one in caught.value.problems] == [
        ["none.json.j2", "cannot be read"],
        ["one.json.j2", "line 1"],
        ["one.json.j2", "line 2"],
        ["one.json.j2", "line 3"],
        ["two.json.j2", "line 1"],
    ]


@pytest.mark.parametrize(
    "source",
    [
        "{{ {{}: 1} }}",
        "{{ [] | first or 1 }}",
        '{{ "x" | center(10**9) or "x" * 10**9 }}',
        '{{ {"%1000000000d" % 1: 1} }}',
        "{% set x = 'abc'[9] and 1 %}",
    ],
)
def test_nothing_is_worked_out_before_there_is_a_reward(
    folder: Path, source: str
) -> None:
    assert problems(folder, source) == []


def test_a_file_that_is_no_text_is_a_problem(folder: Path) -> None:
    (folder / "t.json.j2").write_bytes(b"\xff\xfe{}")
    assert lint(folder, "t.json.j2") == [Problem("t.json.j2", "is not UTF-8 text")]


def test_a_byte_order_mark_is_no_problem(folder: Path) -> None:
    assert problems(folder, "\ufeff" + GOOD) == []


@pytest.mark.parametrize(
    "source",
    [
        "{% if voucher %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}",
        "{% for one in vouchers %}{{ loop.index }}{{ one.code }}{% endfor %}",
        "{% macro m(a, b=1) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1) }}",
        "{% with x = 1 %}{{ x }}{% endwith %}",
        "{% set a, b = 1, 2 %}{{ a ~ b }}",
        "{% if 1 %}{% macro m() %}{% endmacro %}{% endif %}{{ m() }}",
        "{% set ns = namespace(a=1) %}{% set ns.a = 2 %}{{ ns.a }}",
        "{% if 1 is even %}{{ range(3) }}{{ dict(a=1) }}{% endif %}",
    ],
)
def test_names_a_template_makes_itself_are_defined(folder: Path, source: str) -> None:
    assert problems(folder, source) == []
