"""Figures: counted by any process, read by any other, and nothing personal in them."""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from threading import Thread

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_open,
)
from prometheus_client.parser import text_string_to_metric_families as read_text

from bridge import metrics
from bridge.metrics import board
from bridge.metrics.board import Board
from bridge.model import DeliveryStatus, EventStatus

# The forks below run nothing but counts, whatever threads a test runner has.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    metrics.share(["rewards", "points"])


def samples(name: str) -> dict[tuple[str, ...], float]:
    """Read one series of the page: values by labels, in the order of their names."""
    page, _ = metrics.page("")
    return {
        tuple(value for _, value in sorted(one.labels.items())): one.value
        for family in read_text(page.decode())
        for one in family.samples
        if one.name == name
    }


def in_children(number: int, work: Callable[[], None]) -> None:
    """Do something in forked processes, all at the same time."""
    children = []
    for _ in range(number):
        child = os.fork()
        if child == 0:
            work()
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0


def test_what_children_count_is_seen_by_their_parent() -> None:
    def work() -> None:
        for _ in range(1000):
            metrics.stored(EventStatus.STORED, 0.003)

    in_children(3, work)
    metrics.stored(EventStatus.STORED, 0.003)
    assert samples("bridge_webhooks_total")["stored",] == 3001
    assert samples("bridge_answer_seconds_count")[()] == 3001
    assert samples("bridge_answer_seconds_sum")[()] == pytest.approx(9.003)


def test_threads_of_one_process_lose_no_count() -> None:
    def work() -> None:
        for _ in range(5000):
            metrics.WEBHOOKS.inc("parked")

    threads = [Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert samples("bridge_webhooks_total")["parked",] == 20_000


def test_the_dead_leave_their_counts_and_their_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(board, "ROWS", 3)
    metrics.share(["rewards"])
    for _ in range(5):
        in_children(1, lambda: metrics.WEBHOOKS.inc("stored"))
    assert samples("bridge_webhooks_total")["stored",] == 5


def test_a_gauge_is_what_the_last_process_said() -> None:
    metrics.DEPTH.set(5)
    in_children(1, lambda: metrics.DEPTH.set(7))
    assert samples("bridge_queue_depth") == {(): 7}


def test_a_gauge_nobody_knows_is_not_shown() -> None:
    assert samples("bridge_queue_depth") == {}
    assert samples("bridge_upstream_failures_in_a_row") == {(): 0}


def test_a_route_that_is_not_configured_counts_as_other() -> None:
    metrics.settled("ana@shop.example", DeliveryStatus.DEAD, timedelta(1))
    metrics.settled("points", DeliveryStatus.DEAD, timedelta(1))
    counted = samples("bridge_settled_deliveries_total")
    assert {key: value for key, value in counted.items() if value} == {
        ("other", "dead"): 1,
        ("points", "dead"): 1,
    }


def test_a_word_that_is_no_label_is_not_counted() -> None:
    metrics.attempted("ana@shop.example", timedelta(seconds=1))
    assert not any(samples("bridge_attempts_total").values())
    assert b"ana" not in metrics.page("")[0]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "not_authentic"), (405, "no_such_door"), (431, "malformed"), (503, None)],
)
def test_a_refusal_has_one_of_few_reasons(status: int, reason: str | None) -> None:
    metrics.refused(status)
    counted = samples("bridge_refused_requests_total")
    assert counted[(reason or "unavailable"),] == 1


def test_failures_in_a_row_end_with_a_stored_webhook() -> None:
    metrics.refused(401, is_webhook=True)
    metrics.refused(404, is_webhook=False)
    metrics.refused(413)
    metrics.refused(431)
    assert samples("bridge_upstream_failures_in_a_row") == {(): 2}
    metrics.stored(EventStatus.PARKED, 0.1)
    assert samples("bridge_upstream_failures_in_a_row") == {(): 0}


def test_only_what_iterable_took_says_how_long_the_way_is() -> None:
    metrics.settled("points", DeliveryStatus.PENDING, timedelta(seconds=3))
    metrics.settled("points", DeliveryStatus.ACCEPTED, timedelta(seconds=2))
    buckets = samples("bridge_webhook_to_iterable_seconds_bucket")
    assert (buckets["1",], buckets["5",], buckets["+Inf",]) == (0, 1, 1)
    assert samples("bridge_webhook_to_iterable_seconds_sum") == {(): 2}


@pytest.mark.parametrize(
    ("accept", "read", "kind"),
    [
        ("", read_text, "text/plain"),
        ("application/openmetrics-text;version=1.0.0", read_open, "openmetrics-text"),
    ],
)
def test_the_page_has_every_family_in_both_forms(
    accept: str, read: Callable[[str], Iterator[object]], kind: str
) -> None:
    page, content_type = metrics.page(accept)
    assert kind in content_type
    assert len(list(read(page.decode()))) == len(metrics.FAMILIES)


def test_a_board_begins_at_nothing() -> None:
    board = Board(3)
    assert board.sums()[:3] == [0, 0, 0]
    board.close()


def test_counting_costs_next_to_nothing() -> None:
    began = time.process_time()
    for _ in range(20_000):
        metrics.stored(EventStatus.STORED, 0.01)
    each = (time.process_time() - began) / 20_000
    assert each < 20e-6, f"{each * 1e6:.1f} microseconds"
