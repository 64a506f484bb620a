from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from marshmallow import fields

from bridge.config import Lookup, is_loopback, load
from bridge.config.environment import VARIABLES
from bridge.config.schema import LEAST_KEPT, FileSchema
from bridge.errors import ConfigError
from bridge.voucherify.keys import BUSINESS_KEEP

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
SERVING = {"VOUCHERIFY_WEBHOOK_SECRET": "s", "ITERABLE_API_KEY": "k"}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a small valid configuration, with changes, and return its path."""

    def written(route: dict[str, Any] | None = None, **sections: Any) -> Path:
        (tmp_path / "templates").mkdir(exist_ok=True)
        (tmp_path / "templates" / "a.j2").write_text("{}")
        plain = {"name": "a", "when": {}, "campaign_id": 1, "template": "a.j2"}
        data = {"iterable": {"data_center": "us"}, "routes": [plain | (route or {})]}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(data | sections))
        return path

    return written


def problems(path: Path, env: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, SERVING if env is None else env, "receive", "deliver")
    return [str(problem) for problem in caught.value.problems]


def test_the_example_file_loads_as_it_stands() -> None:
    loaded = load(EXAMPLE, SERVING, "receive", "deliver")
    assert loaded.iterable.base_url == "https://api.iterable.com"
    assert loaded.routes[0].name == "raw"


def test_the_example_file_shows_every_setting() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")

    def names(schema: type[Any]) -> set[str]:
        found = set()
        for name, field in schema().fields.items():
            found.add(name)
            inner = field.inner if isinstance(field, fields.List) else field
            if isinstance(inner, fields.Nested):
                found |= names(type(inner.schema))
        return found

    missing = {one for one in names(FileSchema) if f"{one}:" not in text}
    assert missing == set()


def test_every_mistake_is_reported_at_once(write: Write) -> None:
    path = write(
        {"template": "gone.j2", "endpoint": "fax/target", "campaign_id": "7"},
        retry={"max_age": "soon"},
        colour="blue",
    )
    found = problems(path, {})
    assert any(one.startswith("colour: Unknown field") for one in found)
    assert any(one.startswith("retry.max_age: not a duration") for one in found)
    assert any(one.startswith("routes.0.endpoint") for one in found)
    assert any(one.startswith("routes.0.campaign_id") for one in found)
    assert any(one.startswith("routes.0.template: no such file") for one in found)
    assert any(one.startswith("VOUCHERIFY_WEBHOOK_SECRET") for one in found)
    assert any(one.startswith("ITERABLE_API_KEY") for one in found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("routes: [", "cannot be read at line 1: while parsing a flow"),
        ("- 1", "must be a mapping"),
        ("", "must be a mapping"),
        ("{}", "routes: Missing data"),
        ("routes: []", "routes: Shorter than"),
        ("routes: 5", "routes: Not a valid list"),
        ("routes: [5]", "routes.0: Invalid input"),
        ("templates: 5\nroutes: [{template: a}]", "templates: Not a valid string"),
        ("\x00", "cannot be read: a character"),
        (
            "routes:\n  - name: 2026-13-45",
            "at line 2: this looks like YAML's timestamp",
        ),
        ("a: !!timestamp x", "at line 1: this looks like YAML's timestamp"),
        ("a: !!bool x", "at line 1: this looks like YAML's bool"),
        (f"a: {'9' * 5000}", "at line 1: this looks like YAML's int"),
        (f"a: 0x{'f' * 5000}", "at line 1: the number is too large"),
        ("[" * 1000, "is nested too deeply"),
        ("a: 1\nb: !thing 2", "at line 2: could not determine a constructor"),
        ("a: {b: 1,\n b: 2}", "at line 2: 'b' stands here a second time"),
        ("routes: []\n---\nroutes: []", "at line 2: expected a single document"),
    ],
)
def test_a_broken_file_is_named_with_its_fault(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert any(message in one for one in problems(path))


@pytest.mark.parametrize("text", ["routes: [", "- 1", "a: 1\na: 2"])
def test_an_unreadable_file_is_the_only_problem(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text)
    assert len(problems(path, {})) == 1


def test_a_missing_file_is_the_only_problem(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "none.yaml", {})
    assert "cannot be read: No such file" in problem


def test_a_merged_key_may_be_given_anew(write: Write) -> None:
    path = write()
    text = path.read_text() + "retry: {<<: &x {max_age: 1h}, max_age: 2h}\n"
    path.write_text(text)
    assert load(path, {}).retry.max_age == timedelta(hours=2)


@pytest.mark.parametrize(
    ("retention", "problem"),
    [
        ({"blank_after": "12h"}, "retention.blank_after: must be at least 1d"),
        ({"remove_after": "29d"}, "retention.remove_after: must be at least 30d"),
        (
            {"blank_after": "60d", "remove_after": "40d"},
            "retention.blank_after: is longer than remove_after",
        ),
        ({"remove_after": "4000d"}, "and at most 3660d"),
    ],
)
def test_what_was_told_stays_known_for_thirty_days(
    write: Write, retention: dict[str, str], problem: str
) -> None:
    assert any(problem in one for one in problems(write(retention=retention)))


def test_the_least_time_rows_are_kept_is_that_of_the_business_keys() -> None:
    assert timedelta(days=LEAST_KEPT) == BUSINESS_KEEP


def test_everything_is_kept_for_ever_unless_the_file_says_otherwise(
    write: Write,
) -> None:
    assert not load(write(), {}).retention.is_on
    only = load(write(retention={"blank_after": "2d", "remove_after": None}), {})
    assert only.retention.is_on
    assert only.retention.blank_after == timedelta(days=2)
    assert only.retention.remove_after is None


def test_problems_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    names = ["zebra", "ant", "retry", "moth", "bee", "routes"]
    path.write_text("\n".join(f"{name}: 5" for name in names))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert [problem.path for problem in caught.value.problems] == names


@pytest.mark.parametrize("name", ["destination", "route:a", "a b", ""])
def test_a_name_that_is_none_or_means_all_routes_is_refused(
    write: Write, name: str
) -> None:
    assert problems(write({"name": name}))[0].startswith("routes.0.name: ")


@pytest.mark.parametrize("name", ["../a.j2", "sub/../../a.j2", "ABSOLUTE"])
def test_a_template_outside_its_folder_is_refused(
    write: Write, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.j2").write_text("{}")
    name = name.replace("ABSOLUTE", str(tmp_path / "templates" / "a.j2"))
    (problem,) = problems(write({"template": name}))
    assert problem.startswith("routes.0.template: must be the name of a file below")


def test_a_variable_that_does_not_exist_cannot_be_renamed(write: Write) -> None:
    found = problems(write(environment={"ITERABLE_KEY": "K", "PORT": " "}))
    assert found == [
        "environment.ITERABLE_KEY: is no variable of the bridge",
        "environment.PORT: is blank",
    ]


@pytest.mark.parametrize("key", ["schl\u00fcssel", "two\nlines", "\x7fx"])
def test_a_key_that_no_header_can_carry_is_named(write: Write, key: str) -> None:
    (problem,) = problems(write(), SERVING | {"ITERABLE_API_KEY": key})
    assert problem.startswith("ITERABLE_API_KEY: has characters")


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_that_is_no_text_is_named_once(write: Write, name: str) -> None:
    no_text = b"\xffwhisper".decode("utf-8", "surrogateescape")
    (problem,) = problems(write(), SERVING | {name: no_text})
    assert problem.startswith(f"{name}: ")
    assert "whisper" not in problem


def test_one_secret_of_several_that_is_no_text_is_enough(write: Write) -> None:
    found = problems(write(), SERVING | {"ITERABLE_WEBHOOK_SECRET": "new,\udcffold"})
    assert found == ["ITERABLE_WEBHOOK_SECRET: is not UTF-8"]


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1",
        "nonsense",
        "https://h:notaport",
        "https://h:99999",
        "https://[::1",
        "https://a b",
        "https://a\tb",
        "https://u:whisper@h",
        "https://a..b",
        "https://h?whisper",
        "https://h#x",
        "https:///path",
        f"https://{'a' * 64}.example",
    ],
)
def test_a_malformed_destination_is_named_and_not_shown(write: Write, url: str) -> None:
    (problem,) = problems(write(), SERVING | {"ITERABLE_BASE_URL": url})
    assert problem.startswith("ITERABLE_BASE_URL: ")
    assert "whisper" not in problem


@pytest.mark.parametrize(
    "url", ["postgres://u:whisper@h:notaport", "sqlite:///a\x00b", "p://u:whisper@[h"]
)
def test_an_unreadable_database_url_is_named_and_not_shown(
    write: Write, url: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(), {"DATABASE_URL": url})
    assert str(caught.value).startswith("DATABASE_URL: ")
    assert "whisper" not in str(caught.value)


def test_a_file_is_refused_where_the_disk_forgets(write: Write) -> None:
    (problem,) = problems(write(), SERVING | {"DYNO": "web.1"})
    assert problem.startswith("DATABASE_URL: a dyno loses its files")
    told = {"DYNO": "web.1", "BRIDGE_EPHEMERAL_DISK": "accept"}
    assert load(write(), told).database_url.startswith("sqlite")
    server = {"DYNO": "web.1", "DATABASE_URL": "postgres://u:p@h/d"}
    assert load(write(), server).proxies == 1
    assert load(write(), {}).proxies == 0


def test_an_inbound_token_alone_is_proof_enough(write: Write) -> None:
    env = {"BRIDGE_INBOUND_TOKEN": "a, b", "ITERABLE_API_KEY": "k"}
    assert load(write(), env, "receive", "deliver").secrets.inbound == ("a", "b")


def test_a_ledger_command_needs_no_secret(write: Write) -> None:
    assert load(write(), {}).iterable.api_key == ""


def test_secrets_never_show_in_a_representation(write: Write) -> None:
    env = {
        "VOUCHERIFY_WEBHOOK_SECRET": "whisper-1",
        "ITERABLE_API_KEY": "whisper-2",
        "BRIDGE_INBOUND_TOKEN": "whisper-3",
        "DATABASE_URL": "postgresql://u:whisper-4@h/d",
        "VOUCHERIFY_APP_ID": "whisper-5",
        "VOUCHERIFY_APP_TOKEN": "whisper-6",
    }
    assert "whisper" not in repr(load(write(), env, "receive", "deliver"))


@pytest.mark.parametrize(
    ("url", "is_fine"),
    [
        ("https://api.example.com", True),
        ("http://127.0.0.1:9000", True),
        ("http://[::1]:9000", True),
        ("http://localhost:9000", True),
        ("http://api.example.com", False),
        ("http://127.0.0.1.example.com", False),
    ],
)
def test_only_https_or_loopback_is_a_destination(
    write: Write, url: str, is_fine: bool
) -> None:
    env = SERVING | {"ITERABLE_BASE_URL": url}
    if is_fine:
        assert load(write(), env, "deliver").iterable.base_url == url
    else:
        assert "must be https, or loopback" in problems(write(), env)[0]


@pytest.mark.parametrize("name", ["VOUCHERIFY_APP_ID", "VOUCHERIFY_APP_TOKEN"])
def test_reconciling_needs_both_keys(write: Write, name: str) -> None:
    both = {"VOUCHERIFY_APP_ID": "i", "VOUCHERIFY_APP_TOKEN": "t"}
    loaded = load(write(), both, "reconcile").voucherify
    assert loaded.base_url == "https://api.voucherify.io"
    with pytest.raises(ConfigError) as caught:
        load(write(), both | {name: " "}, "reconcile")
    assert str(caught.value) == f"{name}: is not set; reconcile needs it"


def test_a_route_without_campaign_is_refused_unless_raw(write: Write) -> None:
    assert (
        "routes.0.campaign_id: is needed" in problems(write({"campaign_id": None}))[0]
    )
    loaded = load(write({"campaign_id": None, "when": {"raw": True}}), SERVING)
    assert loaded.routes[0].recipient == ("source_id", "email")


def test_a_name_used_twice_is_refused(write: Write) -> None:
    (problem,) = problems(write({"formerly": ["a"]}))
    assert problem == "routes.0.name: a is used more than once"


def test_a_lookup_file_becomes_a_table(write: Write, tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text("from,user_id\ncrm-1,u-1\nb@x.example,u-2\n")
    rule = (
        load(write({"recipient": [{"lookup": "people.csv"}]}), {}).routes[0].recipient
    )
    assert isinstance(rule[0], Lookup)
    assert rule[0].table == {"crm-1": "u-1", "b@x.example": "u-2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("a,b,c\n", "line 1 has not exactly"), ("a,b\na,c\n", "line 2 names somebody")],
)
def test_a_broken_lookup_file_is_a_problem(
    write: Write, tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "people.csv").write_text(text)
    found = problems(write({"recipient": [{"lookup": "people.csv"}]}))
    assert message in found[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("72h", timedelta(hours=72)),
        ("30d", timedelta(days=30)),
        (45, timedelta(seconds=45)),
    ],
)
def test_durations_have_units(write: Write, text: Any, expected: timedelta) -> None:
    assert load(write(retry={"max_age": text}), {}).retry.max_age == expected


@pytest.mark.parametrize("text", ["0s", "-1s", "1 week", True, "", "999d", "1e3"])
def test_nonsense_is_no_duration(write: Write, text: Any) -> None:
    assert "retry.max_age" in problems(write(retry={"max_age": text}))[0]


def test_the_file_may_rename_the_secrets_variables(write: Write) -> None:
    path = write(environment={"ITERABLE_API_KEY": "MY_KEY"})
    assert load(path, SERVING | {"MY_KEY": "m"}).iterable.api_key == "m"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("PORT", "70000"),
        ("WEB_CONCURRENCY", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_senseless_variable_is_named(write: Write, name: str, value: str) -> None:
    assert problems(write(), SERVING | {name: value})[0].startswith(f"{name}: must be")


def test_an_empty_section_means_its_defaults(write: Write) -> None:
    assert load(write(retry=None), {}).retry.max_age == timedelta(hours=72)


def test_a_route_is_found_by_an_earlier_name(write: Write) -> None:
    loaded = load(write({"formerly": ["old"]}), {})
    found = loaded.route("old")
    assert found is not None
    assert found.name == "a"
    assert loaded.route("b") is None


@pytest.mark.parametrize(
    "url", ["http://127.9.9.9", "http://localhost:1", "http://[::1]"]
)
def test_loopback_is_recognised(url: str) -> None:
    assert is_loopback(url)
