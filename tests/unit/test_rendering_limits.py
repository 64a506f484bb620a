import resource
import time

import pytest

from bridge.errors import ConfigError, RenderError
from tests.unit.payloads import CUSTOMER, compiled, payload, render, run

#: Generous: a second on an idle machine, several on one that does all else too.
SECONDS = 4.0
MEBIBYTES = 80

LONG = {
    **CUSTOMER,
    "metadata": {
        "text": "é," * 45_000,
        "longer": "ab " * 100_000,
        "list": [{"a": number} for number in range(3_000)],
    },
}
NS = '{% set ns = namespace(list=[1], text="ab", pair=(1, 1)) %}'


def loop(body: str, times: int = 100_000) -> str:
    return f"{{% for i in range({times}) %}}{body}{{% endfor %}}"


def twice(what: str) -> str:
    """Make a small structure that is a million items once written out."""
    return NS + loop(f"{{% set {what} %}}", 60)


LISTS = twice("ns.list = [ns.list, ns.list]")
PAIRS = twice("ns.pair = (ns.pair, ns.pair)")

BOMBS = {
    "nested loops without output": loop(loop("")),
    "nested loops with output": loop(loop("x")),
    "static text": loop("x" * 1000),
    "static text in a macro": "{% macro m() %}"
    + "x" * 100_000
    + "{% endmacro %}"
    + loop("{% set x = m() %}"),
    "static text in a set block": loop("{% set x %}" + "x" * 100_000 + "{% endset %}"),
    "doubling by ~": NS + loop("{% set ns.text = ns.text ~ ns.text %}"),
    "doubling by +": NS + loop("{% set ns.text = ns.text + ns.text %}"),
    "doubling a list": NS + loop("{% set ns.list = ns.list + ns.list %}"),
    "doubling by a set block": NS
    + loop("{% set ns.text %}{{ ns.text }}{{ ns.text }}{% endset %}"),
    "doubling by a macro": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}"
    "{% endif %}{% endmacro %}{{ m(45) }}",
    "lists of lists, written": LISTS + "{{ ns.list }}",
    "lists of lists, as text": LISTS + '{{ "x" ~ ns.list }}',
    "lists of lists, filtered": LISTS + "{{ ns.list | string }}",
    "lists of lists, compared": LISTS + "{{ ns.list == [ns.list, ns.list] }}",
    "lists of lists, tested": LISTS + "{{ ns.list is eq([ns.list]) }}",
    "lists of lists, changed": LISTS
    + "{% for x in [1, 2] %}{{ loop.changed(ns.list) }}{% endfor %}",
    "objects of objects": twice("ns.list = {'a': ns.list, 'b': ns.list}")
    + "{{ ns.list }}",
    "pairs as a key": PAIRS + "{{ {ns.pair: 1} }}",
    "pairs as an index": PAIRS + "{{ body[ns.pair] }}",
    "pairs looked for": PAIRS + "{{ body.get(ns.pair) }}",
    "lists in lists": NS
    + loop("{% set ns.list = [ns.list] %}", 5000)
    + "{{ ns.list }}",
    "text times a number": '{{ "x" * 10**9 }}',
    "list times a number": "{{ [0] * 10**9 }}",
    "a power of a power": "{{ 10**9**9 }}",
    "a large power": "{{ 2 ** 100000000 }}",
    "squares": NS
    + "{% set ns.text = 9 %}"
    + loop("{% set ns.text = ns.text*ns.text %}"),
    "not finite": "{{ 1e308 * 1e308 }}",
    "not real": "{{ (-8) ** 0.5 }}",
    "division by zero": "{{ 1 / 0 }}",
    "center": '{{ "x" | center(10**9) }}',
    "indent": '{{ "x" | indent(10**9, true) }}',
    "indent of many lines": r"{{ customer.metadata.text | indent(1000) }}",
    "wordwrap": '{{ customer.metadata.text | wordwrap(1, wrapstring="x" ~ customer) }}',
    "a format's width": '{{ "%1000000000d" | format(1) }}',
    "a format's computed width": '{{ "%*d" | format(1000000000, 1) }}',
    "a format's precision": '{{ "%.1000000000f" | format(1) }}',
    "a format by %": '{{ "%1000000000d" % 1 }}',
    "a format by a test": '{{ "%1000000000d" is odd }}',
    "a format by another test": '{{ "%1000000000d" is divisibleby(1) }}',
    "a format of a text, often": '{{ "%(a)s" | format(a=customer.metadata.text) }}',
    "a format of many parts": "{{ customer.metadata.longer[:9000] | "
    'replace("ab ", "%s ") | format(*range(3000)) }}',
    "a method's format": '{{ "{:1000000000}".format(1) }}',
    "a method's width": '{{ "x".ljust(10**9) }}',
    "round": "{{ 1.5 | round(10**9) }}",
    "round up": '{{ 1.5 | round(10**9, "ceil") }}',
    "batch": "{{ [1] | batch(10**9, 0) | list }}",
    "slice": "{{ [1] | slice(10**9) | list }}",
    "range": "{{ range(10**9) | list }}",
    "a range of huge numbers": "{{ range(0, 10**31, 10**30) | list }}",
    "a range, listed": "{{ range(99999) | list }}",
    "sum of lists": "{{ [[1], [2]] | sum(start=[]) }}",
    "join": "{{ [customer.metadata.text, customer.metadata.text] | join }}",
    "a long joint": "{{ range(3000) | join(customer.metadata.text[:1000]) }}",
    "replace": '{{ customer.metadata.text | replace(",", customer.metadata.text) }}',
    "replace nothing": '{{ "aaaa" | replace("", customer.metadata.text) }}',
    "a text that is too long": "{{ customer.metadata.longer | upper }}",
    "slices": loop("{% set x = customer.metadata.longer[::-1] %}"),
    "searches": loop('{% set x = "zz" in customer.metadata.text %}'),
    "urlencode": loop("{% set x = customer.metadata.text[:9000] | urlencode %}"),
    "wordcount": loop("{% set x = customer.metadata.text | wordcount %}"),
    "title": loop("{% set x = customer.metadata.text | title %}"),
    "list of a text": loop("{% set x = customer.metadata.text | list %}"),
    "split": loop('{% set x = customer.metadata.text.split(",") %}'),
    "sort": loop('{% set x = customer.metadata.list | sort(attribute="a") %}'),
    "groupby": loop('{% set x = customer.metadata.list | groupby("a") %}'),
    "unique": loop('{% set x = customer.metadata.list | unique(attribute="a") %}'),
    "many values": loop("{{ customer.metadata.list }}"),
    "a macro without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "many arguments": "{% macro m() %}{{ varargs | length }}{% endmacro %}"
    + loop("{{ m(*range(99999)) }}"),
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_ends_soon_and_in_little_memory(source: str) -> None:
    templates = compiled(source)
    began, least = time.thread_time(), peak()
    with pytest.raises(RenderError):
        run(templates, customer=LONG)
    assert time.thread_time() - began < SECONDS
    assert peak() - least < MEBIBYTES


def peak() -> float:
    """Return the most memory the process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{{ " + "9" * 5000 + " }}",
        "{{ 1e999 }}",
        "{% if 1 %}" * 200 + "{% endif %}" * 200,
        "{% for i in [1] %}" * 30 + "{% endfor %}" * 30,
    ],
    ids=["brackets", "digits", "not finite", "ifs", "loops"],
)
def test_a_template_that_python_cannot_compile_is_a_problem_of_the_configuration(
    source: str,
) -> None:
    with pytest.raises(ConfigError, match=r"too deeply|too large"):
        compiled(source)


def test_the_budget_is_per_rendering() -> None:
    source = '{"campaignId": 1, "recipientUserId": "u", "dataFields": {"x": [0'
    source += loop(",{{ i }}", 20_000) + "]}}"
    for _ in range(3):
        assert len(payload(source)["dataFields"]["x"]) == 20_001


def test_a_payload_of_almost_four_megabytes_is_sent_and_one_beyond_is_not() -> None:
    raw = {"campaignId": 1, "dataFields": {"html": "x" * 3_990_000}}
    source = "{{ body | passthrough }}"
    assert len(render(source, raw=raw).body) > 3_990_000
    raw["dataFields"] = {"html": "é" * 2_100_000}
    with pytest.raises(RenderError, match="of at most 4,000,000 bytes"):
        render(source, raw=raw)
    raw["dataFields"] = {"html": "x" * 4_100_000}
    with pytest.raises(RenderError, match="beyond 4,000,000 characters"):
        render(source, raw=raw)
