"""README, docs, ops and app.json name what exists, and all of it."""

import json
import re
import subprocess
import tomllib
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from marshmallow import Schema, fields

from bridge import integrations
from bridge.cli.app import COMMANDS
from bridge.config.environment import VARIABLES
from bridge.config.schema import (
    DestinationSchema,
    FileSchema,
    RouteSchema,
    SourceSchema,
)
from bridge.integrations.iterable.receipts import REASONS
from bridge.integrations.iterable.sandbox import Stub
from bridge.metrics import page as metrics_page
from bridge.model import DeliveryStatus
from bridge.operations.reconcile import Finding
from tests.docs.pages import PAGES, README, ROOT, page, prose, text

EVERYTHING = "\n".join(map(text, PAGES))
BRIDGE = sorted((ROOT / "bridge").rglob("*.py"))
#: Lines of shells, without their comments.
SHOWN = [
    line.split("  #")[0]
    for one in PAGES
    for line in re.findall(r"^\$ (.+)$", text(one), re.MULTILINE)
]


def vendors() -> list[integrations.Integration]:
    found = map(integrations.find, integrations.kinds())
    return [one for one in found if one is not None]


def specs() -> list[Any]:
    both = [(one.source_spec, one.destination_spec) for one in vendors()]
    return [spec for pair in both for spec in pair if spec is not None]


def variables() -> set[str]:
    secrets = {secret.variable for spec in specs() for secret in spec.secrets}
    urls = {spec.base_url_variable for spec in specs() if spec.base_url_variable}
    return {*VARIABLES, *secrets, *urls, "BRIDGE_CONFIG"}


def listed(marker: str, source: str) -> set[str]:
    """Return the words in back quotes of the first column of the table at a marker."""
    _, _, below = source.partition(f"<!-- {marker} -->\n")
    rows = below.partition("\n\n")[0].splitlines()[2:]
    cells = [row.partition(" | ")[0] for row in rows]
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


# Commands


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_documents(name: str) -> None:
    assert re.search(
        rf"`(reward-bridge )?{name}\b|\$ reward-bridge {name}\b", EVERYTHING
    )


@cache
def options_of(name: str) -> set[str]:
    command = getattr(import_module(f"bridge.cli.{COMMANDS[name][0]}"), name)
    return {option for one in command.params for option in one.opts}


def shown_commands() -> list[str]:
    pages = [one for one in PAGES if one.name != "CHANGELOG.md"]  # it has old names
    quoted = re.findall(r"`([^`\n]+)`", "\n".join(map(prose, pages)))
    lines = [one.rpartition("reward-bridge ")[2] for one in [*SHOWN, *quoted]]
    return sorted({one for one in lines if one.partition(" ")[0] in COMMANDS})


def test_every_command_that_is_shown_exists() -> None:
    for line in [line for line in SHOWN if line.startswith("reward-bridge")]:
        assert line.split()[1] in COMMANDS, line


@pytest.mark.parametrize("line", shown_commands())
def test_a_command_is_shown_with_options_that_it_has(line: str) -> None:
    words = re.findall(r"(?<!\S)--[a-z-]+", line)
    assert set(words) <= options_of(line.split(maxsplit=1)[0]) | {"--help"}


def test_every_target_of_make_that_is_named_exists_and_has_an_explanation() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z]+)", EVERYTHING))
    assert named == targets


# Variables and settings


def test_every_variable_is_in_the_readme() -> None:
    for name in variables():
        assert f"`{name}`" in text(README), name


def test_every_variable_in_the_documents_exists() -> None:
    named = re.findall(r"\b(?:BRIDGE|ITERABLE|VOUCHERIFY|ALERT)_[A-Z_]+", EVERYTHING)
    assert {one.removesuffix("_FILE") for one in named} <= variables()


def test_app_json_describes_every_variable() -> None:
    app = json.loads((ROOT / "app.json").read_text(encoding="utf-8"))
    # Set by Heroku and by its add-on.
    assert set(app["env"]) == variables() - {"PORT", "DATABASE_URL"}
    assert all(one["description"] for one in app["env"].values())
    procfile = (ROOT / "Procfile").read_text(encoding="utf-8")
    assert set(app["formation"]) <= set(re.findall(r"^(\w+):", procfile, re.MULTILINE))


def settings(schema: type[Schema]) -> set[str]:
    found: set[str] = set()
    for name, field in schema().fields.items():
        found.add(field.data_key or name)
        if isinstance(field, fields.Nested):
            found |= settings(type(field.schema))
    return found


def test_every_setting_is_in_the_example_configuration() -> None:
    example = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    schemas = [FileSchema, RouteSchema, SourceSchema, DestinationSchema]
    schemas += [spec.schema for spec in specs()]
    secrets = {secret.name for one in vendors() for secret in _used_secrets(one)}
    for name in {*secrets, *(one for schema in schemas for one in settings(schema))}:
        assert re.search(rf"\b{name}\b", example), name


def _used_secrets(vendor: integrations.Integration) -> list[Any]:
    spec = vendor.source_spec or vendor.destination_spec
    return [] if spec is None else list(spec.secrets)


# Words that tables list


def test_every_log_event_is_explained_and_no_other() -> None:
    found = set()
    for path in BRIDGE:
        source = path.read_text(encoding="utf-8")
        found |= set(re.findall(r'log\.\w+\(\s*"(\w+\.\w+)"', source))
        found |= set(re.findall(r'log\.\w+,\s*"(\w+\.\w+)"', source))
        found |= set(re.findall(r'write\(\s*"(\w+\.\w+)"', source))
        found |= set(re.findall(r'"((?:delivery|receipt|event)\.(?!html)\w+)"', source))
    assert listed("log", page("operations.md")) == found


def metric_names() -> set[str]:
    types = re.findall(r"^# TYPE (\w+)", metrics_page().decode(), re.MULTILINE)
    return {name for name in types if not name.endswith("_created")}


def test_every_metric_is_explained_and_no_other() -> None:
    rows = listed("metrics", page("operations.md"))
    assert {one.split("{")[0] for one in rows} == metric_names()


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "prometheus-rules.yml"])
def test_every_metric_in_ops_exists(name: str) -> None:
    source = (ROOT / "ops" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"\bbridge_\w+", source))
    endings = ("_bucket", "_sum", "_count")
    known = metric_names() | {one + end for one in metric_names() for end in endings}
    assert named
    assert named <= known


@pytest.mark.parametrize("name", ["grafana-dashboard.json", "prometheus-rules.yml"])
def test_labels_in_ops_are_those_of_the_metric(name: str) -> None:
    source = (ROOT / "ops" / name).read_text(encoding="utf-8").replace('\\"', '"')
    labels = {
        re.split(r"[{]", one)[0]: set(re.findall(r"\w+", one.partition("{")[2]))
        for one in listed("metrics", page("operations.md"))
    }
    for metric, inside in re.findall(r"\b(bridge_\w+)\{([^}]*)\}", source):
        base = metric if metric in labels else metric.rpartition("_")[0]
        used = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", inside)) - {"job"}
        assert used <= labels[base], metric


def test_the_rules_are_sound_expressions() -> None:
    promql = pytest.importorskip("promql_parser")
    rules = yaml.safe_load((ROOT / "ops" / "prometheus-rules.yml").read_text())
    for rule in rules["groups"][0]["rules"]:
        promql.parse(rule["expr"])
        assert rule["annotations"]["summary"]


def test_every_reason_for_a_skip_is_explained() -> None:
    assert set(REASONS) <= listed("reasons", page("operations.md"))


def test_every_finding_of_reconcile_is_explained() -> None:
    assert listed("findings", page("operations.md")) == {one.value for one in Finding}


def test_every_alert_of_the_configuration_is_explained() -> None:
    alerts = settings(type(FileSchema().fields["alerts"].schema))  # type: ignore[attr-defined]
    assert listed("alerts", page("operations.md")) >= alerts


def test_every_state_of_a_delivery_is_explained() -> None:
    listed = re.findall(r"^\| `(\w+)` \|", page("design.md"), re.MULTILINE)
    assert {one.value for one in DeliveryStatus} <= set(listed)


def test_every_field_of_a_sandbox_rule_is_explained_and_no_other() -> None:
    assert listed("rules", page("sandbox.md")) == set(Stub.__dataclass_fields__)


# Links


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", head.lower()) for head in heads]
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_every_page_and_screenshot_is_linked() -> None:
    linked = set(re.findall(r"\]\((?:docs/)?([\w/.-]+)[)#]", EVERYTHING))
    for path in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs").rglob("*.png")]:
        assert str(path.relative_to(ROOT / "docs")) in linked, path


def test_the_tests_that_defend_the_promises_exist() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", page("reliability.md"))
    assert len(named) > 15
    for file, name in named:
        assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8"), name


def test_every_module_that_is_named_exists() -> None:
    for name in re.findall(r"`((?:voucherify|iterable)/[\w/]+)(?:\.py)?`", EVERYTHING):
        path = ROOT / "bridge" / "integrations" / name
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_every_package_is_in_the_layout() -> None:
    layout = page("design.md").split("## Layout")[1]
    for path in (ROOT / "bridge").iterdir():
        name = path.stem
        if not name.startswith("_") and path.suffix in ("", ".py"):
            assert re.search(rf"\b{name}\b", layout), name


# Floors


def test_the_floors_are_those_of_pyproject() -> None:
    script, project = ROOT / "ops" / "floors.py", ROOT / "pyproject.toml"
    done = subprocess.run(
        ["python3", script, project], capture_output=True, text=True, check=True
    )
    declared = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    count = len(declared["dependencies"]) + 1  # and psycopg
    assert len(done.stdout.split()) == count
    assert all(re.fullmatch(r"[\w-]+==[\w.]+", one) for one in done.stdout.split())


def test_no_folder_of_the_sources_is_named_in_gitignore() -> None:
    """A wheel leaves out what git ignores, in whatever folder it is."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignored = {one.strip("/") for one in lines if not one.startswith("/")}
    folders = [*(ROOT / "bridge").rglob("*/"), *(ROOT / "tests").rglob("*/")]
    sources = {one.name for one in folders if any(one.glob("*.py"))}
    assert not sources & ignored
