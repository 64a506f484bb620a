from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ledger import main
from bridge import voucherify
from bridge.model import DeliveryStatus
from bridge.store import DeliveryFilter, EventFilter, Store, open_store

pytestmark = pytest.mark.integration

UNTIL = "2026-11-20T12:00:00Z"


@contextmanager
def filled(folder: Path, *more: str) -> Iterator[Store]:
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder / 'ledger.db'}"
    assert main(["--database-url", url, "--until", UNTIL, *more]) == 0
    with closing(open_store(url)) as store:
        yield store


def rows(store: Store) -> list[Any]:
    return list(store.ledger.deliveries(DeliveryFilter(limit=1000)))


def test_a_made_ledger_has_every_state_and_exactly_as_many_waiting(
    tmp_path: Path,
) -> None:
    with filled(tmp_path, "--rows", "900", "--waiting", "100") as store:
        made = rows(store)
        assert len(made) == 900
        assert sum(row.due_at is not None for row in made) == 100
        assert {row.status for row in made} >= set(DeliveryStatus) - {
            DeliveryStatus.SENDING
        }
        assert len({row.route for row in made}) == 4
        assert [row.id for row in made] == sorted(
            (row.id for row in made), reverse=True
        )
        assert made[0].created_at - made[-1].created_at > timedelta(days=89)
        assert len(store.ledger.events(EventFilter(limit=2000))) > 900


def test_every_made_delivery_finds_its_reward_in_its_event(tmp_path: Path) -> None:
    with filled(tmp_path, "--rows", "60", "--waiting", "10") as store:
        for row in rows(store):
            story = store.ledger.story(row.id)
            assert story is not None
            parsed = voucherify.parse(story.event.capture)
            reward = voucherify.find_reward(parsed, row.key)
            assert reward is not None
            assert ", ".join(reward.codes) == row.code


def test_the_same_seed_makes_the_same_ledger(tmp_path: Path) -> None:
    several = ("--rows", "60", "--waiting", "10")
    with (
        filled(tmp_path / "a", *several) as first,
        filled(tmp_path / "b", *several) as second,
        filled(tmp_path / "c", *several, "--seed", "2") as third,
    ):
        assert rows(first) == rows(second)
        assert rows(first) != rows(third)


def test_a_ledger_with_rows_is_not_filled_again(tmp_path: Path) -> None:
    several = ("--rows", "5", "--waiting", "1")
    with filled(tmp_path, *several), pytest.raises(SystemExit, match="not empty"):
        main(["--database-url", f"sqlite:///{tmp_path / 'ledger.db'}"])
