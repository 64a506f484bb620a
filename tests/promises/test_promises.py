"""The promises of the program, each with the tests that attack it.

A map for readers, and proof that what it names exists; the checks that are not among
the product tests run here.
"""

from collections.abc import Callable
from importlib import import_module

import pytest

from tests.product.program import Program
from tests.promises import checks

#: By promise: tests of `tests/product`, as `module:function`; checks are below.
TESTS: dict[str, tuple[str, ...]] = {
    "1 stored before answered": (
        "test_durability:test_a_webhook_answered_202_arrives_though_the_program_is_killed_at_once",
        "test_durability:test_nothing_is_lost_or_repeated_by_a_kill_under_load",
        "test_shared_queue:test_without_the_database_webhooks_are_answered_503_and_then_taken",
    ),
    "2 no authentic webhook is refused for its content": (
        "test_receiving:test_whatever_is_signed_is_kept_and_parked",
        "test_receiving:test_a_reward_that_shows_no_voucher_is_parked_with_the_reason",
        "test_replay:test_stored_events_are_decided_again_after_a_fix",
    ),
    "3 one message per reward and route": (
        "test_keys:test_repeats_at_the_same_time_are_one_delivery",
        "test_keys:test_the_same_publication_by_another_event_is_a_duplicate",
        "test_keys:test_a_replayed_capture_of_what_was_posted_sends_nothing",
        "test_durability:test_after_a_kill_a_repeat_is_still_recognised",
    ),
    "4 at least once, and honest about maybe": (
        "test_durability:test_a_call_that_was_open_when_the_program_was_killed_is_verified",
        "test_unknown_outcomes:test_verify_finds_a_message_that_was_sent_and_does_not_repeat_it",
        "test_unknown_outcomes:test_resend_sends_once_more_and_no_oftener",
        "test_unknown_outcomes:test_hold_leaves_it_to_a_person",
    ),
    "6 one state, a reason, and the attempts": (
        "test_iterable_answers:test_the_answer_decides_what_becomes_of_the_message",
        "test_iterable_answers:test_the_attempts_are_kept_with_their_answers",
        "test_ledger:test_a_history_goes_from_the_webhook_to_the_last_attempt",
    ),
    "7 one bad thing never stops its neighbours": (
        "test_circuits:test_poison_messages_do_not_stop_their_neighbours",
        "test_circuits:test_a_wrong_campaign_stops_its_route_and_no_other",
        "test_circuits:test_a_slow_destination_does_not_slow_the_receiver",
        "test_receiving:test_fifty_stalled_senders_do_not_keep_others_waiting",
    ),
    "8 nothing secret or personal in log or metric": (
        "test_log_privacy:test_no_secret_code_name_address_or_vendors_text_is_in_the_log",
    ),
    "9 a template cannot break what is sent": (
        "test_rendering:test_a_value_arrives_as_json_whatever_is_in_it",
        "test_rendering:test_an_empty_value_is_held_and_never_sent_by_accident",
        "test_rendering:test_a_text_that_is_no_number_is_held",
    ),
}
#: Checks that no product test makes in the same way.
CHECKS: tuple[Callable[[Program], None], ...] = (
    checks.stored_before_answered,
    checks.on_disk_when_answered,
    checks.rejections_are_counted,
    checks.an_outage_makes_few_doubts,
)
#: What a product test covers too; here so that its control is known to be able to pass.
COVERED: tuple[Callable[[Program], None], ...] = (
    checks.nothing_signed_is_rejected,
    checks.one_message_per_reward,
    checks.unknown_is_not_repeated,
    checks.checked_before_it_is_sent_again,
    checks.claimed_is_not_lost,
    checks.every_end_has_a_state_a_reason_and_its_attempts,
    checks.nothing_personal_is_logged,
    checks.a_value_cannot_inject,
    checks.an_empty_value_is_not_sent,
    checks.what_is_no_number_is_not_sent,
)


def _name(check: Callable[[Program], None]) -> str:
    return check.__name__.replace("_", " ")


@pytest.mark.parametrize(
    "check",
    [*CHECKS, *(pytest.param(one, marks=pytest.mark.torture) for one in COVERED)],
    ids=_name,
)
def test_the_program_keeps_its_promise(
    program: Program, check: Callable[[Program], None]
) -> None:
    check(program)


@pytest.mark.parametrize("promise", TESTS)
def test_what_the_map_names_exists(promise: str) -> None:
    for name in TESTS[promise]:
        module, function = name.split(":")
        assert callable(getattr(import_module(f"tests.product.{module}"), function))
