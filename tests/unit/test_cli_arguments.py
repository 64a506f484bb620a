from datetime import UTC, datetime, timedelta

import click
import pytest

from bridge.bootstrap import now
from bridge.cli.arguments import stored_id, when


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-21", datetime(2026, 8, 21, tzinfo=UTC)),
        ("2026-08-21T09:30:00Z", datetime(2026, 8, 21, 9, 30, tzinfo=UTC)),
        ("2026-08-21T09:30", datetime(2026, 8, 21, 9, 30, tzinfo=UTC)),
        ("2026-08-21T09:30:00+02:00", datetime(2026, 8, 21, 7, 30, tzinfo=UTC)),
    ],
)
def test_a_date_is_utc_unless_it_says_otherwise(text: str, moment: datetime) -> None:
    assert when(text) == moment


@pytest.mark.parametrize(
    ("text", "age"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("72h", timedelta(hours=72)),
        ("30d", timedelta(days=30)),
    ],
)
def test_an_age_counts_back_from_now(text: str, age: timedelta) -> None:
    assert abs(now() - age - when(text)) < timedelta(seconds=5)


@pytest.mark.parametrize("text", ["", "yesterday", "5", "5w", "-5h", "999999999d"])
def test_what_is_neither_age_nor_date_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="neither an age"):
        when(text)


def test_an_id_is_brought_into_the_form_of_the_ledger() -> None:
    plain = "01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55"
    assert stored_id(plain.upper().replace("-", "")) == plain


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(click.BadParameter, match="is no id"):
        stored_id("crm-10482")
