"""From file and environment to a `Config`, and every problem on the way at once."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from marshmallow import Schema, fields

from bridge import integrations
from bridge.config import shipped
from bridge.config.schema import DestinationSchema, FileSchema, RouteSchema
from tests.config.conftest import SERVING, Write, loaded, problems

EXAMPLE = shipped("config.example.yaml")
BOTH: Any = ("receive", "deliver")


def test_the_example_file_loads_as_it_is() -> None:
    config = loaded(EXAMPLE, roles=BOTH)
    assert config.destinations["iterable"].base_url == "https://api.iterable.com"
    assert config.routes[0].name == "raw"
    assert not config.retention.is_on


def test_the_example_file_shows_every_setting() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")

    def names(schema: type[Schema]) -> set[str]:
        found = set()
        for name, field in schema().fields.items():
            found.add(field.data_key or name)
            if isinstance(field, fields.Nested):
                found |= names(type(field.schema))
        return found

    iterable, voucherify = (
        integrations.find("iterable"),
        integrations.find("voucherify"),
    )
    assert iterable is not None
    assert voucherify is not None
    wanted = names(FileSchema) | names(RouteSchema) | names(DestinationSchema)
    for spec in (iterable.destination_spec, voucherify.source_spec):
        assert spec is not None
        wanted |= names(spec.schema) | {one.name for one in spec.secrets}
    assert {one for one in wanted if f"{one}:" not in text} == set()


def test_a_file_with_routes_only_has_both_ends(write: Write) -> None:
    path = write(destinations=None)
    env = SERVING | {"ITERABLE_BASE_URL": "http://127.0.0.1:9"}
    config = loaded(path, env, roles=BOTH)
    assert config.sources.keys() == {"voucherify"}
    assert config.destinations["iterable"].base_url == "http://127.0.0.1:9"
    [route] = config.routes
    assert (route.source, route.destination) == ("voucherify", "iterable")
    assert (route.endpoint, route.on_unknown_outcome) == ("email/target", "verify")


def test_a_second_destination_of_a_kind_names_its_own_variables(write: Write) -> None:
    sections = {
        "iterable": {"data_center": "us"},
        "iterable-eu": {"kind": "iterable", "data_center": "eu", "api_key": "EU_KEY"},
    }
    path = write({"to": "iterable-eu"}, destinations=sections)
    env = SERVING | {"EU_KEY": "the-eu-key", "ITERABLE_BASE_URL": "https://us.example"}
    config = loaded(path, env, roles=BOTH)
    found = config.destinations["iterable-eu"]
    assert (found.secret("api_key"), found.variables["api_key"]) == (
        "the-eu-key",
        "EU_KEY",
    )
    # The variable is that of the section named after its kind.
    assert found.base_url == "https://api.eu.iterable.com"
    assert config.destinations["iterable"].base_url == "https://us.example"


@pytest.mark.parametrize("group", ["sources", "destinations"])
def test_an_unknown_vendor_is_named(write: Write, group: str) -> None:
    assert (
        "no vendor `mailer`"
        in problems(write(**{group: {"mailer": {}}}))[f"{group}.mailer"]
    )


def test_a_route_must_say_which_of_several_ends_it_means(write: Write) -> None:
    iterable = {"data_center": "us"}
    two = {
        "iterable": iterable,
        "other": {"kind": "iterable", "api_key": "K", **iterable},
    }
    env = SERVING | {"K": "the-other-key"}
    found = problems(write(destinations=two), env)
    assert found["routes.0.to"].endswith("is needed: one of iterable, other")
    wrong = problems(write({"to": "iterabel"}, destinations=two), env)
    assert wrong["routes.0.to"].endswith("Did you mean `iterable`?")


def test_recipient_rules_and_other_settings_of_a_route(write: Write) -> None:
    rules = ["source_id", "email", {"email": "source_id"}]
    path = write(
        {
            "recipient": rules,
            "limit_per_customer": {"max": 3, "window": "24h"},
            "min_validity": "12h",
            "previous_names": ["old"],
            "code_fields": ["couponCode"],
        }
    )
    config = loaded(path)
    [route] = config.routes
    assert route.recipient == ("source_id", "email", "source_id_as_email")
    assert route.min_validity == timedelta(hours=12)
    assert route.limit_per_customer is not None
    assert route.code_fields == ("couponCode",)
    assert config.route("old") is route


@pytest.mark.parametrize(
    ("retention", "fault"),
    [
        ({"redact_after": "12h"}, "must be at least 1d"),
        ({"redact_after": "60d", "delete_after": "40d"}, "is longer than delete_after"),
    ],
)
def test_retention_has_limits(
    write: Write, retention: dict[str, str], fault: str
) -> None:
    found = problems(write(retention=retention))
    assert fault in found["retention.redact_after"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90s", 90), ("15m", 900), ("72h", 259_200), ("30d", 2_592_000), (45, 45)],
)
def test_durations_have_units(write: Write, text: Any, expected: int) -> None:
    config = loaded(write(retry={"max_age": text}))
    assert config.retry.max_age == timedelta(seconds=expected)


@pytest.mark.parametrize("name", ["../a.j2", "sub/../../a.j2", "ABSOLUTE", "gone.j2"])
def test_a_template_must_be_in_its_folder(
    write: Write, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.j2").write_text("{}")
    name = name.replace("ABSOLUTE", str(tmp_path / "templates" / "a.j2"))
    fault = problems(write({"template": name}))["routes.0.template"]
    assert "must be the name of a file below" in fault or "no such file" in fault
