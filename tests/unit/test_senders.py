import sys
import time
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from bridge.dispatch import Result
from bridge.model import Capture, Cause, Claim, Settlement
from bridge.rendering import Payload
from bridge.senders import LATEST, Senders, Task

NOW = datetime(2026, 8, 20, tzinfo=UTC)


class Attempts:
    """Notes what is sent, and when."""

    def __init__(self) -> None:
        self.sent: list[float] = []

    def prepare(self, claim: Claim) -> Payload:
        del claim
        return Payload(body=b"{}", names_campaign=False, dropped=0)

    def begin(self, claim: Claim, payload: Payload) -> None:
        """Leave every send to those that may wait."""

    def send(self, claim: Claim, payload: Payload) -> Result:
        del payload
        self.sent.append(time.monotonic())
        settlement = Settlement(
            delivery_id=claim.delivery_id,
            token=claim.token,
            cause=Cause.ANSWERED_OK,
            reason=None,
        )
        return Result(claim=claim, settlement=settlement)


def claim(name: str = "d") -> Claim:
    return Claim(
        delivery_id=name,
        token="t",
        route="r",
        endpoint="email/target",
        key="k",
        number=1,
        attempts=0,
        doubts=0,
        aging_since=NOW,
        voucher_expires_at=None,
        event_id="e",
        event_received_at=NOW,
        event_repeats=0,
        capture=Capture(body=b"{}"),
        claimed_at=NOW,
    )


def task(*, slot: float = 0.0, **changes: Any) -> Task:
    now = time.monotonic()
    values: dict[str, Any] = {"claim": claim(), "slot": now + slot, "latest": now + 30}
    return Task(**(values | changes))


@pytest.fixture
def attempts() -> Attempts:
    return Attempts()


@pytest.fixture
def senders(attempts: Attempts) -> Senders:
    return Senders(attempts, 1, Event(), attempts)  # type: ignore[arg-type]


def cause(senders: Senders, one: Task) -> Cause:
    senders.submit(one)
    (result,) = senders.results(10)
    assert isinstance(result, Result)
    return result.settlement.cause


def test_a_task_starts_at_its_slot_and_not_before(
    senders: Senders, attempts: Attempts
) -> None:
    one = task(slot=0.2)
    assert cause(senders, one) is Cause.ANSWERED_OK
    assert attempts.sent[0] >= one.slot


def test_a_task_that_missed_its_slot_asks_for_another(
    senders: Senders, attempts: Attempts
) -> None:
    assert cause(senders, task(slot=-2, is_punctual=True)) is Cause.UNSENT
    assert attempts.sent == []


def test_lateness_is_harmless_where_the_rate_is_high(senders: Senders) -> None:
    assert cause(senders, task(slot=-2)) is Cause.ANSWERED_OK


def test_a_machine_that_is_always_late_sends_at_last(
    senders: Senders, attempts: Attempts
) -> None:
    until = time.monotonic() + 60
    while not attempts.sent:
        assert time.monotonic() < until
        cause(senders, task(slot=-0.08 * LATEST, is_punctual=True))


def test_a_task_whose_lease_would_not_cover_the_call_goes_back(
    senders: Senders, attempts: Attempts
) -> None:
    assert cause(senders, task(latest=time.monotonic() - 1)) is Cause.UNSENT
    assert attempts.sent == []


@pytest.mark.parametrize("shut", ["", "r"])
def test_nobody_passes_a_shut_gate_but_its_probe(senders: Senders, shut: str) -> None:
    senders.restraint.shut = frozenset({shut})
    assert cause(senders, task()) is Cause.UNSENT
    assert cause(senders, task(probes="route:r")) is Cause.ANSWERED_OK


def test_results_are_taken_several_at_a_time(senders: Senders) -> None:
    for number in range(3):
        senders.submit(task(claim=claim(f"d{number}")))
    assert len(senders.results(10, least=3)) == 3


def test_what_is_back_is_taken_when_the_time_is_over(senders: Senders) -> None:
    senders.submit(task())
    assert len(senders.results(0.2, least=2)) == 1


class Crowded(Attempts):
    """Notes how many payloads were being made at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0

    def prepare(self, claim: Claim) -> Payload:
        self.now += 1
        self.most = max(self.most, self.now)
        # Long enough for the interpreter to give the others their turn.
        until = time.monotonic() + 4 * sys.getswitchinterval()
        while time.monotonic() < until:
            pass
        self.now -= 1
        return super().prepare(claim)


def test_one_payload_is_made_at_a_time() -> None:
    crowded = Crowded()
    senders = Senders(crowded, 4, Event(), crowded)  # type: ignore[arg-type]
    for number in range(8):
        senders.submit(task(claim=claim(f"d{number}")))
    assert len(senders.results(10, least=8)) == 8
    assert crowded.most == 1
