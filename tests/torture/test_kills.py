"""`kill -9` anywhere under load: nothing is lost, and every repeat was in doubt."""

import random
from collections import Counter
from typing import Any

import pytest

from tests.product.program import Program, wait_for
from tests.torture.busy import BusyIterable, Load, come_to_rest, disturbed, report, size

pytestmark = pytest.mark.torture

VERIFY = {"after": "2s", "rate_per_second": 500}


def restart(program: Program) -> None:
    """Cut the power, and start again."""
    program.kill()
    program.start()


def check(
    policy: str,
    load: Load,
    message_counts: Counter[str],
    rows: dict[str, dict[str, Any]],
) -> None:
    """Compare what was promised, what Iterable sent, and what the ledger says."""
    held = {name for name, row in rows.items() if row["status"] == "held"}
    doubted = {name for name, row in rows.items() if row["unknown_outcomes"] > 0}
    repeated = {name for name, number in message_counts.items() if number > 1}
    assert load.answered <= set(message_counts) | held, (
        "a webhook that was answered was lost"
    )
    assert {row["status"] for row in rows.values()} <= {"accepted", "held"}
    assert held <= doubted, "held without having been in doubt"
    if policy == "resend":
        assert repeated <= doubted, "sent twice without having been in doubt"
        assert max(message_counts.values()) <= 2, "sent more than once again"
    else:
        assert repeated == set(), "sent twice"
    if policy == "verify":
        assert held == set(), "held though Iterable could be asked"


@pytest.mark.parametrize("policy", ["verify", "resend", "hold"])
def test_twenty_thousand_webhooks_survive_fifty_kills(
    program: Program, iterable: BusyIterable, policy: str
) -> None:
    webhooks, kills = size("WEBHOOKS", 20_000), size("KILLS", 50)
    program.destination(timeout="1s", rate_per_second=400, verify=VERIFY)
    program.route(on_unknown_outcome=policy)
    iterable.delay, iterable.hang = 0.01, 1.5
    program.start()
    load = Load(program)
    disturbed(load, kills, lambda: restart(program), webhooks=webhooks)
    rows = come_to_rest(program, seconds=600)
    report(load, iterable.message_counts(), rows)
    check(policy, load, iterable.message_counts(), rows)


def test_a_hundred_kills_in_the_middle_of_sending_lose_nothing(
    program: Program, iterable: BusyIterable
) -> None:
    program.destination(timeout="0.5s", rate_per_second=400, verify=VERIFY)
    iterable.delay = 0.02
    program.start()
    load, chance = Load(program), random.Random(1)
    for _ in range(size("KILLS", 100)):
        enough = iterable.total + chance.randrange(10, 60)
        wait_for(lambda: iterable.total >= enough)  # noqa: B023
        restart(program)
    load.end()
    rows = come_to_rest(program, seconds=300)
    report(load, iterable.message_counts(), rows)
    check("verify", load, iterable.message_counts(), rows)
