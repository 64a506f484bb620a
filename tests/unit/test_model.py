import pytest

from bridge.errors import TransitionError
from bridge.model import Cause, DeliveryStatus, next_status, sources

S, C = DeliveryStatus, Cause

#: Written out by hand from the documented table, one line a cell.
TABLE = [
    (S.PENDING, C.CLAIMED, S.SENDING),
    (S.PENDING, C.UNUSABLE, S.HELD),
    (S.PENDING, C.ANSWERED_LATE, S.ACCEPTED),
    (S.PENDING, C.REPORTED_SENT, S.CONFIRMED),
    (S.PENDING, C.REDELIVER_FORCED, S.PENDING),
    (S.SENDING, C.ANSWERED_OK, S.ACCEPTED),
    (S.SENDING, C.NOT_PROCESSED, S.PENDING),
    (S.SENDING, C.UNSENT, S.PENDING),
    (S.SENDING, C.OUTCOME_UNKNOWN, S.IN_DOUBT),
    (S.SENDING, C.LEASE_EXPIRED, S.IN_DOUBT),
    (S.SENDING, C.GIVEN_UP, S.DEAD),
    (S.SENDING, C.MUST_NOT_SEND, S.SUPPRESSED),
    (S.SENDING, C.GATE_CLOSED, S.PENDING),
    (S.SENDING, C.UNUSABLE, S.HELD),
    (S.SENDING, C.REPORTED_SENT, S.CONFIRMED),
    (S.SENDING, C.REPORTED_UNSENT, S.UNDELIVERED),
    (S.SENDING, C.REPORTED_BOUNCED, S.UNDELIVERED),
    (S.IN_DOUBT, C.ANSWERED_LATE, S.ACCEPTED),
    (S.IN_DOUBT, C.CHECK_FOUND, S.ACCEPTED),
    (S.IN_DOUBT, C.CHECK_NOT_FOUND, S.PENDING),
    (S.IN_DOUBT, C.CHECK_UNDECIDABLE, S.HELD),
    (S.IN_DOUBT, C.CHECK_FAILED, S.IN_DOUBT),
    (S.IN_DOUBT, C.POLICY_RESEND, S.PENDING),
    (S.IN_DOUBT, C.POLICY_HOLD, S.HELD),
    (S.IN_DOUBT, C.UNUSABLE, S.HELD),
    (S.IN_DOUBT, C.REPORTED_SENT, S.CONFIRMED),
    (S.IN_DOUBT, C.REPORTED_UNSENT, S.UNDELIVERED),
    (S.IN_DOUBT, C.REPORTED_BOUNCED, S.UNDELIVERED),
    (S.IN_DOUBT, C.REDELIVER_FORCED, S.PENDING),
    (S.HELD, C.REPORTED_SENT, S.CONFIRMED),
    (S.HELD, C.REPORTED_UNSENT, S.UNDELIVERED),
    (S.HELD, C.REPORTED_BOUNCED, S.UNDELIVERED),
    (S.HELD, C.ANSWERED_LATE, S.ACCEPTED),
    (S.HELD, C.REDELIVER, S.PENDING),
    (S.HELD, C.REDELIVER_FORCED, S.PENDING),
    (S.HELD, C.RESOLVED_SENT, S.ACCEPTED),
    (S.HELD, C.RESOLVED_DROPPED, S.DROPPED),
    (S.ACCEPTED, C.REPORTED_SENT, S.CONFIRMED),
    (S.ACCEPTED, C.REPORTED_UNSENT, S.UNDELIVERED),
    (S.ACCEPTED, C.REPORTED_BOUNCED, S.UNDELIVERED),
    (S.CONFIRMED, C.REPORTED_BOUNCED, S.UNDELIVERED),
    (S.ACCEPTED, C.REDELIVER_FORCED, S.PENDING),
    (S.CONFIRMED, C.REDELIVER_FORCED, S.PENDING),
    (S.UNDELIVERED, C.REDELIVER, S.PENDING),
    (S.UNDELIVERED, C.REDELIVER_FORCED, S.PENDING),
    (S.DEAD, C.REDELIVER, S.PENDING),
    (S.DEAD, C.REDELIVER_FORCED, S.PENDING),
    (S.DEAD, C.RESOLVED_SENT, S.ACCEPTED),
    (S.DEAD, C.RESOLVED_DROPPED, S.DROPPED),
    (S.SUPPRESSED, C.REDELIVER_FORCED, S.PENDING),
    (S.DROPPED, C.REDELIVER_FORCED, S.PENDING),
    (S.PENDING, C.FORGOTTEN, S.SUPPRESSED),
    (S.IN_DOUBT, C.FORGOTTEN, S.SUPPRESSED),
    (S.HELD, C.FORGOTTEN, S.SUPPRESSED),
]
KNOWN = {(status, cause): to for status, cause, to in TABLE}
EVERY_CELL = [(status, cause) for status in DeliveryStatus for cause in Cause]


@pytest.mark.parametrize(("status", "cause"), EVERY_CELL)
def test_each_cell_leads_where_the_documented_table_says(
    status: DeliveryStatus, cause: Cause
) -> None:
    if (status, cause) in KNOWN:
        assert next_status(status, cause) is KNOWN[status, cause]
    else:
        with pytest.raises(TransitionError, match=status):
            next_status(status, cause)


def test_sources_lists_the_states_in_which_a_cause_may_strike() -> None:
    assert sources(Cause.REDELIVER) == {S.HELD, S.DEAD, S.UNDELIVERED}


def test_what_a_worker_holds_is_never_forced_into_the_queue() -> None:
    assert S.SENDING not in sources(Cause.REDELIVER_FORCED)
