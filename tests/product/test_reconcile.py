"""`reconcile`: Voucherify's publications against what the ledger has of them."""

from collections.abc import Iterator

import pytest

from tests.product.dialect import new_only
from tests.product.dialect_operations import finding
from tests.product.program import ROUTE, Program, new_person
from tests.product.recorder import Answer
from tests.product.vendor import APP_TOKEN, Voucherify, lines

PLAN = ("reconcile", "--since", "1h", "--json")
BACKFILL = (*PLAN, "--backfill", "--yes")


@pytest.fixture
def voucherify(program: Program) -> Iterator[Voucherify]:
    """A project that the installation may read, and a route for one campaign."""
    project = Voucherify()
    program.env |= project.env
    program.configure(
        routes=[{"name": "all", **ROUTE, "match": {"campaigns": ["Load"]}}]
    )
    yield project
    project.stop()


def findings(program: Program, *command: str) -> dict[str, set[str]]:
    """Run `reconcile`; list the publications of each finding that is named."""
    found: dict[str, set[str]] = {}
    for one in program.rows(*command[:-1] if command[-1] == "--json" else command):
        if "finding" in one:
            found.setdefault(one["finding"], set()).add(one["publication_id"])
    return found


def ids(*webhooks: dict[str, dict[str, dict[str, str]]]) -> set[str]:
    return {one["data"]["publication"]["id"] for one in webhooks}


def test_a_plan_names_what_is_missing_failed_and_unexpected(
    program: Program, voucherify: Voucherify
) -> None:
    known = [voucherify.publish(new_person()) for _ in range(2)]
    missing = [voucherify.publish(new_person(), minutes=4) for _ in range(3)]
    failed = voucherify.publish(new_person(), failure="no_voucher_suitable")
    stray = voucherify.publish(new_person(), is_listed=False)
    voucherify.publish(new_person(), campaign="Another")
    program.run("replay", "-", "--yes", stdin=lines(*known, stray))
    done = program.command(*PLAN)
    assert done.returncode == 0
    for count, word in ((2, "matched"), (3, "missing"), (1, "unrouted")):
        assert f"{count} {finding(word)}" in done.stderr
    assert "3 messages to 3" in done.stderr
    assert "no_voucher_suitable" in done.stdout
    assert findings(program, *PLAN) == {
        "missing": ids(*missing),
        "failed": ids(failed),
        finding("unexpected"): ids(stray),
    }
    assert len(program.deliveries()) == 3


def test_a_backfill_sends_what_is_missing_once_whichever_way_it_comes(
    program: Program, voucherify: Voucherify
) -> None:
    people = [new_person() for _ in range(4)]
    told = [voucherify.publish(person) for person in people]
    program.start()
    program.accept(told[0])
    assert findings(program, *BACKFILL) == {"missing": ids(*told[1:])}
    program.iterable.arrived(*people)
    for one in told:
        program.accept(one, status="duplicate")
    again = program.command(*BACKFILL)
    assert (again.returncode, again.stdout) == (0, "")
    codes = [one.fields["couponCode"] for one in program.iterable.messages()]
    assert sorted(codes) == sorted(one["data"]["voucher"]["code"] for one in told)


def test_a_backfilled_message_has_what_only_the_whole_voucher_says(
    program: Program, voucherify: Voucherify
) -> None:
    told = voucherify.publish(new_person())
    told["data"]["voucher"]["expiration_date"] = "2099-01-31T22:59:59.000Z"
    program.run(*BACKFILL)
    [row] = program.deliveries()
    assert row["voucher_expires_at"] == "2099-01-31T22:59:59Z"
    event = program.run("events", row["event_id"], "--export", "out").strip()
    assert '"expiresAt": "2099-01-31 22:59:59 +00:00"' in program.run("render", event)


def test_what_came_long_after_its_publication_is_late(
    program: Program, voucherify: Voucherify
) -> None:
    told = voucherify.publish(new_person(), minutes=180)
    program.run("reconcile", "--since", "1d", "--backfill", "--yes")
    again = findings(program, "reconcile", "--since", "1d", "--json")
    assert again == {"late": ids(told)}


def test_only_the_window_is_compared(program: Program, voucherify: Voucherify) -> None:
    _, middle, _ = (
        voucherify.publish(new_person(), minutes=minutes) for minutes in (5, 90, 300)
    )
    window = ("reconcile", "--since", "2h", "--until", "1h", "--json")
    assert findings(program, *window) == {"missing": ids(middle)}
    backwards = program.command("reconcile", "--since", "1h", "--until", "2h")
    assert backwards.returncode == 2


def test_real_customers_are_not_reached_by_a_backfill_without_yes(
    program: Program, voucherify: Voucherify
) -> None:
    program.env["ITERABLE_BASE_URL"] = "https://api.iterable.com"
    voucherify.publish(new_person())
    refused = program.command("reconcile", "--since", "1h", "--backfill")
    assert refused.returncode == 1
    assert "--yes" in refused.stderr
    assert "1 message to 1 real customer" in refused.stderr
    assert program.deliveries() == []
    program.run(*BACKFILL)
    assert program.statuses() == ["pending"]


def test_a_list_that_breaks_off_half_way_backfills_nothing(
    program: Program, voucherify: Voucherify
) -> None:
    for number in range(150):
        voucherify.publish(new_person(), minutes=1 + number / 60)
    path = "/v1/publications"
    first_page = voucherify.default
    broken = Answer(status=402, body={"code": 402})

    def default(call: object) -> Answer:
        answer = first_page(call)  # type: ignore[arg-type]
        is_second = getattr(call, "query", {}).get("page") == "2"
        return broken if is_second and getattr(call, "path", "") == path else answer

    voucherify.default = default  # type: ignore[method-assign]
    done = program.command(*BACKFILL)
    assert done.returncode == 1
    assert "402" in done.stderr
    assert program.deliveries() == []


def test_a_rate_limit_is_waited_for(program: Program, voucherify: Voucherify) -> None:
    told = voucherify.publish(new_person())
    busy = Answer(status=429, body={"code": 429}, headers={"Retry-After": "1"})
    voucherify.tell(busy)
    assert findings(program, *PLAN) == {"missing": ids(told)}
    assert [one.answer.status for one in voucherify.calls()][:2] == [429, 200]


def test_what_is_not_set_is_named_with_exit_code_2(
    program: Program, voucherify: Voucherify
) -> None:
    plain = {"VOUCHERIFY_BASE_URL": "http://api.voucherify.io"}
    done = program.command(*PLAN, env=plain)
    assert done.returncode == 2
    assert "VOUCHERIFY_BASE_URL" in done.stderr
    for name in voucherify.env:
        del program.env[name]
    done = program.command(*PLAN)
    assert done.returncode == 2
    assert "VOUCHERIFY_APP_ID" in done.stderr
    assert "VOUCHERIFY_APP_TOKEN" in done.stderr


def test_a_wrong_key_is_exit_code_1_and_shows_nothing_of_it(
    program: Program, voucherify: Voucherify
) -> None:
    voucherify.publish(new_person())
    done = program.command(*BACKFILL, env={"VOUCHERIFY_APP_TOKEN": "whisper-1"})
    assert done.returncode == 1
    assert "VOUCHERIFY_APP_ID" in done.stderr
    for secret in ("whisper-1", APP_TOKEN):
        assert secret not in done.stderr + done.stdout
    assert program.deliveries() == []


@new_only("today a backfill sends to a person who was forgotten")
def test_a_backfill_queues_nothing_for_a_person_who_was_forgotten(
    program: Program, voucherify: Voucherify
) -> None:
    person = new_person()
    known, _ = voucherify.publish(person), voucherify.publish(person)
    program.run("replay", "-", "--yes", stdin=lines(known))
    program.run("forget", person, "--yes")
    program.run(*BACKFILL)
    assert [one["status"] for one in program.deliveries()] == ["suppressed"]
