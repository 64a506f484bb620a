"""A configuration that is wrong: every problem at once, and nothing is started."""

from typing import Any

import pytest

from tests.product.dialect import new_only, place
from tests.product.program import KEY, ROUTE, SECRET, Program, new_person, webhook


def problems(program: Program, *command: str, **env: str) -> dict[str, str]:
    """Run a command that refuses its configuration: the problem of each place."""
    done = program.command(*(command or ("check",)), env=env)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if ": " in line]
    return dict(line.split(": ", 1) for line in lines)


def test_serve_names_every_problem_at_once_and_starts_nothing(program: Program) -> None:
    program.destination(rate_per_second=0)
    program.configure(retyr={}, receive={"max_body_bytes": 1})
    program.route(
        name="a b",
        match={"vouchers": ["COUPON"]},
        group_by="person",
        on_unknown_outcome="maybe",
        campaign_id="1",
        template="none.json.j2",
        extra=True,
    )
    del program.env["ITERABLE_API_KEY"]
    found = problems(program, "serve")
    assert found.keys() == {
        place("destinations.iterable.rate_per_second"),
        "retyr",
        "receive.max_body_bytes",
        "routes.0.name",
        place("routes.0.match.vouchers.0"),
        place("routes.0.group_by"),
        place("routes.0.on_unknown_outcome"),
        "routes.0.campaign_id",
        "routes.0.template",
        "routes.0.extra",
        "ITERABLE_API_KEY",
    }
    assert not list(program.folder.glob("bridge.db*"))


def test_routes_must_be_usable_as_a_whole(program: Program) -> None:
    second = {**ROUTE, "name": "two", "recipient": [{"lookup": "people.csv"}]}
    third = {"name": "two", "match": {}, "template": "points.json.j2"}
    program.configure(routes=[{"name": "one", **ROUTE}, second, third])
    found = problems(program)
    assert "people.csv" in found["routes.1.recipient"]
    assert "two" in found["routes.2.name"]
    assert "routes.2.campaign_id" in found


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("routes: [", id="unfinished"),
        pytest.param("- 1", id="a list"),
        pytest.param("routes: []\nroutes: []", id="the same key twice"),
        pytest.param("[" * 1000, id="nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem_of_its_own(
    program: Program, text: str
) -> None:
    (program.folder / "config.yaml").write_text(text, encoding="utf-8")
    done = program.command("check")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_a_file_that_is_missing_is_named(program: Program) -> None:
    done = program.command("check", "--config", "nowhere.yaml")
    assert done.returncode == 2
    assert "nowhere.yaml" in done.stderr


def test_secrets_that_are_missing_are_named(program: Program) -> None:
    for name in ("VOUCHERIFY_WEBHOOK_SECRET", "ITERABLE_API_KEY"):
        del program.env[name]
    found = problems(program)
    assert {"VOUCHERIFY_WEBHOOK_SECRET", "ITERABLE_API_KEY"} <= found.keys()


def test_variables_that_make_no_sense_are_named(program: Program) -> None:
    env = {
        "PORT": "many",
        "LOG_LEVEL": "loud",
        "ITERABLE_BASE_URL": "http://api.iterable.com",
        "VOUCHERIFY_BASE_URL": "ftp://example.com",
        "ALERT_WEBHOOK_URL": "http://alerts.example.com",
    }
    assert problems(program, **env).keys() == env.keys()


def test_a_ledger_on_a_dynos_disk_is_refused_unless_accepted(program: Program) -> None:
    assert "DATABASE_URL" in problems(program, DYNO="web.1")
    accepted = {"DYNO": "web.1", "BRIDGE_EPHEMERAL_DISK": "accept"}
    assert program.command("check", env=accepted).returncode == 0


def test_no_message_shows_a_secret(program: Program) -> None:
    env = {"VOUCHERIFY_WEBHOOK_SECRET": f"{SECRET}-é\n", "ITERABLE_API_KEY": f"{KEY}é"}
    done = program.command("check", env=env)
    assert done.returncode == 2
    assert SECRET not in done.stderr
    assert KEY not in done.stderr


def test_a_file_with_routes_only_is_enough(program: Program) -> None:
    program.config.clear()
    program.template("own.json.j2", '{"campaignId": 1, "recipientUserId": "u"}')
    program.config.clear()
    program.configure(routes=[{"name": "all", **ROUTE, "template": "own.json.j2"}])
    done = program.command("check")
    assert done.returncode == 0, done.stderr


def test_a_section_without_content_has_its_defaults(program: Program) -> None:
    program.configure(retry=None, alerts=None)
    assert program.command("check").returncode == 0


def test_the_file_may_name_other_variables_for_secrets(program: Program) -> None:
    program.destination(api_key="MY_ITERABLE_KEY")
    program.configure(sources={"voucherify": {"secret": "MY_SECRET"}})
    program.env["MY_ITERABLE_KEY"] = program.env.pop("ITERABLE_API_KEY")
    program.env["MY_SECRET"] = program.env.pop("VOUCHERIFY_WEBHOOK_SECRET")
    program.start()
    program.accept(webhook(person := new_person()))
    [message] = program.iterable.arrived(person)
    assert message.headers["api-key"] == KEY


@new_only("reads no NAME_FILE")
def test_a_secret_may_be_in_a_file(program: Program) -> None:
    path = program.folder / "secret"
    path.write_text(f"{SECRET}\n", encoding="utf-8")
    del program.env["VOUCHERIFY_WEBHOOK_SECRET"]
    program.env["VOUCHERIFY_WEBHOOK_SECRET_FILE"] = str(path)
    program.start("--no-deliver")
    program.accept(webhook())


@new_only("takes quotes and ${…} for a part of the secret")
def test_a_value_that_a_shell_should_have_read_is_a_problem(program: Program) -> None:
    env = {
        "VOUCHERIFY_WEBHOOK_SECRET": f'"{SECRET}"',
        "ITERABLE_API_KEY": f"'{KEY}'",
        "BRIDGE_INBOUND_TOKEN": "${TOKEN}",
    }
    found = problems(program, **env)
    assert found.keys() == env.keys()
    assert SECRET not in str(found)


@new_only("shows the end of a database password that has an @ in it")
@pytest.mark.parametrize("command", ["check", "migrate"])
def test_no_part_of_a_database_password_is_shown(
    program: Program, command: str
) -> None:
    url = "postgres://bridge:S3cr@t-9f8e7d@127.0.0.1:9/bridge"
    done = program.command(command, env={"DATABASE_URL": url})
    assert done.returncode != 0
    assert "9f8e7d" not in done.stdout + done.stderr
    assert "S3cr" not in done.stdout + done.stderr


RENAMED: dict[str, tuple[dict[str, Any], str]] = {
    "when": ({"when": {}}, "match"),
    "formerly": ({"formerly": ["old"]}, "previous_names"),
    "per": ({"per": "voucher"}, "group_by"),
    "not_within": ({"not_within": "12h"}, "min_validity"),
    "per_customer": ({"per_customer": {"count": 1}}, "limit_per_customer"),
    "in_doubt": ({"in_doubt": "verify"}, "on_unknown_outcome"),
}


@new_only("these are its names")
def test_an_old_name_of_a_route_is_one_message_that_says_the_new(
    program: Program,
) -> None:
    routes = [
        {**ROUTE, "name": f"route{number}", **old}
        for number, (old, _) in enumerate(RENAMED.values())
    ]
    program.configure(routes=routes)
    lines = program.command("check").stderr.splitlines()
    for number, (old, (_, new)) in enumerate(RENAMED.items()):
        [line] = [one for one in lines if f"routes.{number}." in one]
        assert line.startswith(f"routes.{number}.{old}: ")
        assert new in line


@new_only("these are its names")
def test_an_old_name_of_a_section_is_one_message_that_says_the_new(
    program: Program,
) -> None:
    old = {
        "iterable": {"timeout_seconds": 15},
        "retention": {"blank_after": "30d", "remove_after": "60d"},
        "alerts": {"oldest_due": "15m", "upstream_failures": 5},
        "retry": {"unknown_user_grace": "60s"},
    }
    program.configure(**old)
    text = program.command("check").stderr
    for new in (
        "destinations",
        "redact_after",
        "delete_after",
        "max_queue_age",
        "consecutive_webhook_failures",
        "retry_unknown_user_after",
    ):
        assert sum(new in line for line in text.splitlines()) == 1, new
