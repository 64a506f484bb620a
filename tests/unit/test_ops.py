"""The dashboard and the alert rules: sound, and about figures the program has."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import yaml

from bridge import metrics
from bridge.metrics.families import GATES, ROUTES, Family, Histogram

OPS = Path(__file__).parents[2] / "ops"
RULES = yaml.safe_load((OPS / "prometheus-rules.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((OPS / "grafana-dashboard.json").read_text(encoding="utf-8"))
#: Labels that Prometheus adds, and that of a histogram's buckets.
ADDED = {"job", "instance", "le"}
#: What a rule may say, as `promtool check rules` has it.
RULE_KEYS = {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
DURATION = re.compile(r"(\d+(ms|[smhdwy]))+")


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    """Yield where each expression stands, and the expression, its variables filled."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            text = target["expr"].replace("$__rate_interval", "5m")
            where = f"{panel['title']}, {target['legendFormat']}"
            yield where, text.replace("$job", ".*")


def nodes(text: str) -> list[Any]:
    """Parse an expression into all of its parts."""
    found: list[Any] = []
    promql.walk(promql.parse(text), found.append)
    # The parts of a range or a call are not all walked into.
    found += [one.vector_selector for one in found if hasattr(one, "vector_selector")]
    return found


def selectors(text: str) -> dict[str, list[Any]]:
    """List the series an expression selects by their names, with their matchers."""
    found: dict[str, list[Any]] = {}
    for node in nodes(text):
        if isinstance(node, promql.VectorSelector):
            assert node.name is not None
            found.setdefault(node.name, []).extend(node.matchers.matchers)
    return found


def grouped_by(text: str) -> set[str]:
    """List the labels that parts of an expression are grouped or matched by."""
    found: set[str] = set()
    for node in nodes(text):
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found |= set(node.modifier.labels)
        if isinstance(node, promql.BinaryExpr) and node.modifier is not None:
            matching = node.modifier.matching
            found |= set(matching.labels if matching is not None else ())
    return found


def exposed() -> Mapping[str, Family]:
    """Name every series the program exposes."""
    found: dict[str, Family] = {}
    for family in metrics.FAMILIES:
        is_histogram = isinstance(family, Histogram)
        ends = ("_bucket", "_count", "_sum") if is_histogram else ("",)
        found |= {family.name + end: family for end in ends}
    return found


every_expression = pytest.mark.parametrize(
    ("where", "text"), list(expressions()), ids=[where for where, _ in expressions()]
)


@every_expression
def test_every_expression_asks_for_figures_the_program_has(
    where: str, text: str
) -> None:
    names = selectors(text)
    assert names, where
    assert set(names) <= set(exposed())


@every_expression
def test_every_expression_asks_for_labels_the_figures_have(
    where: str, text: str
) -> None:
    known = exposed()
    labels = {label for name in selectors(text) for label in known[name].labels}
    assert grouped_by(text) <= labels | ADDED, where
    for name, matchers in selectors(text).items():
        for matcher in matchers:
            if matcher.name in ADDED:
                continue
            allowed = known[name].values_of(matcher.name)
            words = set(matcher.value.split("|"))
            assert allowed in (ROUTES, GATES) or words <= set(allowed), matcher


def test_the_page_has_the_names_that_are_checked_against() -> None:
    metrics.share(["a"])
    page = metrics.page("")[0].decode()
    shown = set(re.findall(r"^(bridge_[a-z_]+)", page, re.MULTILINE))
    shown |= {family.name for family in metrics.FROM_STORE}
    shown |= {"bridge_store_up", "bridge_store_look_seconds"}
    shown |= {"bridge_store_looked_at_timestamp_seconds"}
    assert shown == set(exposed())


def test_the_dashboard_shows_every_figure() -> None:
    known = exposed()
    shown = {
        known[name].name
        for panel in DASHBOARD["panels"]
        for target in panel["targets"]
        for name in selectors(target["expr"].replace("$__rate_interval", "5m"))
    }
    assert shown == {family.name for family in metrics.FAMILIES}


def test_every_rule_has_the_shape_prometheus_reads() -> None:
    assert set(RULES) == {"groups"}
    assert all(set(group) == {"name", "rules"} for group in RULES["groups"])
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert set(rule) <= RULE_KEYS
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rule["alert"])
        assert DURATION.fullmatch(rule.get("for", "1m")), rule
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"]["summary"]
        used = re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"]))
        assert set(used) <= grouped_by(rule["expr"])


def test_a_mistake_in_a_rule_is_found() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        promql.parse("sum by (route (bridge_deliveries)")
    assert selectors("rate(bridge_no_such_total[5m]) > 1").keys() - exposed().keys()


def test_the_dashboard_is_one_that_grafana_imports() -> None:
    identities = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(identities) == len(set(identities))
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) <= {
        *variables,
        "__rate_interval",
        "__all",
    }
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert panel["targets"], panel["title"]
