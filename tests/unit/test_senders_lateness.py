import pytest

from bridge.senders.lateness import LATE, LATEST, Lateness

HALF = LATEST / 2


@pytest.fixture
def lateness() -> Lateness:
    return Lateness()


def test_one_stall_gives_nobody_more_time(lateness: Lateness) -> None:
    assert not lateness.is_late(slot=100, now=100 + LATE)
    for slot in (200.0, 200.01, 200.02):
        assert lateness.is_late(slot, now=200.1)
    assert not lateness.is_late(slot=200.1, now=200.1)
    assert lateness.is_late(slot=300, now=300 + 1.5 * LATE)


def test_who_is_always_late_gets_time_until_punctual_again(lateness: Lateness) -> None:
    late = 1.5 * LATE
    for now in (0, HALF, LATEST):
        assert lateness.is_late(now - late, now)
    assert lateness.is_late(LATEST + HALF - late, LATEST + HALF)
    assert not lateness.is_late(2 * LATEST - late, 2 * LATEST)
    assert not lateness.is_late(3 * LATEST, 3 * LATEST)
    assert lateness.is_late(4 * LATEST - late, 4 * LATEST)
