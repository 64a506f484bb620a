"""`reconcile`: Voucherify's publications against what the ledger has of them."""

from collections.abc import Iterator

import pytest

from tests.product.program import ROUTE, Program, new_person
from tests.product.recorder import Answer
from tests.product.vendor import Voucherify, lines

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
    program.run("migrate")
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
        assert f"{count} {word}" in done.stderr
    assert "3 messages to 3" in done.stderr
    assert "no_voucher_suitable" in done.stdout
    assert findings(program, *PLAN) == {
        "missing": ids(*missing),
        "failed": ids(failed),
        "unexpected": ids(stray),
    }
    assert len(program.deliveries()) == 3


def test_a_backfill_sends_what_is_missing_once_whichever_way_it_comes(
    program: Program, voucherify: Voucherify
) -> None:
    people = [new_person() for _ in range(4)]
    earned = [voucherify.publish(person) for person in people]
    program.start()
    program.accept(earned[0])
    assert findings(program, *BACKFILL) == {"missing": ids(*earned[1:])}
    program.iterable.arrived(*people)
    for one in earned:
        program.accept(one, status="duplicate")
    again = program.command(*BACKFILL)
    assert (again.returncode, again.stdout) == (0, "")
    codes = [one.fields["couponCode"] for one in program.iterable.messages()]
    assert sorted(codes) == sorted(one["data"]["voucher"]["code"] for one in earned)


def test_a_backfilled_message_has_what_only_the_whole_voucher_says(
    program: Program, voucherify: Voucherify
) -> None:
    earned = voucherify.publish(new_person())
    earned["data"]["voucher"]["expiration_date"] = "2099-01-31T22:59:59.000Z"
    program.run(*BACKFILL)
    [row] = program.deliveries()
    expires_at = row.get("expires_at") or row["voucher_expires_at"]
    assert expires_at == "2099-01-31T22:59:59Z"
    event = program.run("events", row["event_id"], "--export", "out").strip()
    assert '"expiresAt": "2099-01-31 22:59:59 +00:00"' in program.run("render", event)


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


def test_a_backfill_queues_nothing_for_a_person_who_was_forgotten(
    program: Program, voucherify: Voucherify
) -> None:
    person = new_person()
    known, _ = voucherify.publish(person), voucherify.publish(person)
    program.run("replay", "-", "--yes", stdin=lines(known))
    program.run("forget", person, "--yes")
    program.run(*BACKFILL)
    assert [one["status"] for one in program.deliveries()] == ["suppressed"]
