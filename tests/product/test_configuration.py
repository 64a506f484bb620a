"""A configuration that is wrong: every problem at once, and nothing is started."""

import pytest

from tests.product.program import KEY, SECRET, Program, new_person, webhook


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
        "destinations.iterable.rate_per_second",
        "retyr",
        "receive.max_body_bytes",
        "routes.0.name",
        "routes.0.match.vouchers.0",
        "routes.0.group_by",
        "routes.0.on_unknown_outcome",
        "routes.0.campaign_id",
        "routes.0.template",
        "routes.0.extra",
        "ITERABLE_API_KEY",
    }
    assert not list(program.folder.glob("bridge.db*"))


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


def test_the_file_may_name_other_variables_for_secrets(program: Program) -> None:
    program.destination(api_key="MY_ITERABLE_KEY")
    program.configure(sources={"voucherify": {"secret": "MY_SECRET"}})
    program.env["MY_ITERABLE_KEY"] = program.env.pop("ITERABLE_API_KEY")
    program.env["MY_SECRET"] = program.env.pop("VOUCHERIFY_WEBHOOK_SECRET")
    program.start()
    program.accept(webhook(person := new_person()))
    [message] = program.iterable.arrived(person)
    assert message.headers["api-key"] == KEY


@pytest.mark.parametrize("command", ["check", "migrate"])
def test_no_part_of_a_database_password_is_shown(
    program: Program, command: str
) -> None:
    url = "postgres://bridge:S3cr@t-9f8e7d@127.0.0.1:9/bridge"
    done = program.command(command, env={"DATABASE_URL": url})
    assert done.returncode != 0
    assert "9f8e7d" not in done.stdout + done.stderr
    assert "S3cr" not in done.stdout + done.stderr
