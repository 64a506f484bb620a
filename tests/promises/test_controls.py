"""Negative controls: with one thing spoilt, the check of its promise must fail.

A check that passes here would prove nothing about the program either. Two run with
every test; the others are torture.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.product import program as harness
from tests.product import test_circuits
from tests.product.program import Program
from tests.product.recorder import Iterable, Recorder
from tests.promises import checks
from tests.promises.spoiling import spoil

#: Seconds a check waits for what a spoilt program will not do.
SHORT = 12.0
_WAITING: tuple[Any, ...] = (
    harness.wait_for,
    Program.settled,
    Program.at_rest,
    Program.in_state,
    Program.await_log,
    Recorder.wait,
    Iterable.arrived,
)


class Control(NamedTuple):
    """One thing that is spoilt."""

    #: In words; the test's name.
    what: str
    #: What is spoilt as it is imported, by `piece`, run in the module's names.
    module: str
    piece: str
    #: Must fail, for this reason.
    check: Callable[[Program], None]
    match: str
    is_quick: bool = False


CONTROLS = (
    Control(
        "promise 1: answering before the commit",
        "bridge.store.group_commit",
        """
_wait = PendingWrite.wait
def wait(self):
    from threading import Thread
    from bridge.model import EventStatus, IngestResult
    Thread(target=_wait, args=(self,), daemon=True).start()
    return IngestResult(event_id=self.item[0].id, status=EventStatus.STORED,
                        reason=None, deliveries=())
PendingWrite.wait = wait
""",
        checks.stored_before_answered,
        "answered before it was stored",
        is_quick=True,
    ),
    Control(
        "promise 1: not waiting for the disk",
        "bridge.store.sqlite",
        '_SETTINGS = tuple(one.replace("FULL", "OFF") for one in _SETTINGS)',
        checks.on_disk_when_answered,
        "does not wait for the disk",
    ),
    Control(
        "promise 2: a body that cannot be read is an error",
        "bridge.intake",
        """
_named = _problem
def _problem(parsed):
    if _named(parsed) is not None:
        raise ValueError("a body that cannot be read")
""",
        checks.nothing_signed_is_rejected,
        "rejected for its content",
    ),
    Control(
        "promise 2: rejections are not counted",
        "bridge.web.answers",
        """
_webhook_failure = _count_webhook_failure
def _count_webhook_failure(status):
    pass
""",
        checks.rejections_are_counted,
        "did not come true",
    ),
    Control(
        "promise 3: every key is free",
        "bridge.store.idempotency",
        """
_found = acquire, known_keys
def acquire(tx, wanted):
    return {}
def known_keys(tx, pairs):
    return {}
""",
        checks.one_message_per_reward,
        "one reward became two deliveries",
        is_quick=True,
    ),
    Control(
        "promise 4: what is in doubt is sent again",
        "bridge.retry",
        """
from dataclasses import replace
_decide = decide
def decide(outcome, *arguments, **options):
    return _decide(replace(outcome, is_unknown=False), *arguments, **options)
""",
        checks.unknown_is_not_repeated,
        "sent again though it was in doubt",
    ),
    Control(
        "promise 4: what Iterable shows is not believed",
        "bridge.delivery.evidence",
        """
_compare = compare_counts
def compare_counts(shown, in_doubt, sends, since):
    return _compare(0, in_doubt, (), since)
""",
        checks.checked_before_it_is_sent_again,
        "sent twice though Iterable showed it",
    ),
    Control(
        "promise 4: every unknown outcome is taken for sent",
        "bridge.delivery.evidence",
        """
_compare = compare_counts
def compare_counts(shown, in_doubt, sends, since):
    return _compare(99, in_doubt, sends, since)
""",
        checks.checked_before_it_is_sent_again,
        "taken for sent though Iterable did not show it",
    ),
    Control(
        "promise 4: a lease never ends",
        "bridge.store.in_doubt",
        """
_expire = expire_leases
def expire_leases(tx, grace=None):
    return []
""",
        checks.claimed_is_not_lost,
        "'sending'",
    ),
    Control(
        "promise 4: an outage changes nothing",
        "bridge.delivery.outage_breaker",
        "LIMIT = LIMIT * 10**9",
        checks.an_outage_makes_few_doubts,
        "more than a handful in doubt",
    ),
    Control(
        "promise 6: attempts are not kept",
        "bridge.store.settle",
        """
_note = note_attempts
def note_attempts(tx, rows):
    pass
""",
        checks.every_end_has_a_state_a_reason_and_its_attempts,
        "an attempt was not kept",
    ),
    Control(
        "promise 6: a state has no reason",
        "bridge.store.settle",
        """
_stepped = _step
def _step(*arguments):
    return _stepped(*arguments) | {"why": None}
""",
        checks.every_end_has_a_state_a_reason_and_its_attempts,
        "without a reason",
    ),
    Control(
        "promise 7: a poison message stops the tick",
        "bridge.delivery.claims",
        """
from bridge.errors import StoreUnavailable
_claim = Claimer.claim
def claim(self, tick, room):
    tasks = _claim(self, tick, room)
    if any(b'"name":null' in one.claim.capture.body for one in tasks):
        raise StoreUnavailable("a poison message")
    return tasks
Claimer.claim = claim
""",
        test_circuits.test_poison_messages_do_not_stop_their_neighbours,
        "did not come true",
    ),
    Control(
        "promise 7: a wrong campaign stops the destination",
        "bridge.delivery.circuit_policy",
        """
_open = CircuitPolicy._open
CircuitPolicy._open = lambda self, tick, one, scope: _open(
    self, tick, one, FailureScope.DESTINATION)
""",
        test_circuits.test_a_wrong_campaign_stops_its_route_and_no_other,
        "did not come true",
    ),
    Control(
        "promise 9: a value is written as it is",
        "bridge.rendering.values",
        """
_encode = encode
def encode(value, *arguments):
    is_json = isinstance(value, str) and value[:1] in "1"
    return JsonText(value) if is_json else _encode(value, *arguments)
""",
        checks.a_value_cannot_inject,
        "the value (became JSON|broke the payload)",
    ),
    Control(
        "promise 9: empty values are sent",
        "bridge.rendering.values",
        """
_encode = encode
def encode(value, *arguments):
    is_empty = isinstance(value, EmptyField)
    return JsonText("null") if is_empty else _encode(value, *arguments)
""",
        checks.an_empty_value_is_not_sent,
        "an empty value was sent",
    ),
    Control(
        "promise 9: what cannot be converted is a zero",
        "bridge.rendering.formats",
        """
_money = money
def money(cents, *arguments, **options):
    return _money(cents if isinstance(cents, int) else 0, *arguments, **options)
""",
        checks.what_is_no_number_is_not_sent,
        "a text was sent as an amount",
    ),
)
#: Says of a webhook what must not be in a log, in fields that may be shown.
LEAK = """
_reported = _report
def _report(event, result, request_id):
    _reported(event, result, request_id)
    text = event.capture.body.decode()
    key = "itbl-example-key-0123456789abcdef"
    log.info("event.leak", reason=text, code=text, key=key)
"""
NO_NET = """
_Mask.mask = lambda self, text: text
FIELDS = FIELDS | {"code", "key"}
"""


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less for what will not come."""
    for function in _WAITING:
        monkeypatch.setitem(function.__kwdefaults__, "seconds", SHORT)


def _parameter(one: Control) -> Any:
    marks = () if one.is_quick else (pytest.mark.torture,)
    return pytest.param(one, id=one.what, marks=marks)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("control", [_parameter(one) for one in CONTROLS])
def test_the_check_notices(program: Program, control: Control) -> None:
    spoil(program, {control.module: control.piece})
    with pytest.raises(AssertionError, match=control.match):
        control.check(program)


@pytest.mark.torture
def test_the_check_of_the_log_notices_a_line_without_the_net(program: Program) -> None:
    spoil(program, {"bridge.intake": LEAK, "bridge.logging": NO_NET})
    with pytest.raises(AssertionError, match="the log shows what it must not"):
        checks.nothing_personal_is_logged(program)


def test_every_promise_has_a_control() -> None:
    numbers = {one.what.split()[1].rstrip(":") for one in CONTROLS} | {"8"}
    assert numbers == set("1234" + "6789")
