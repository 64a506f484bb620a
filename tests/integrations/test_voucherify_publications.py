"""Voucherify's API: its list of publications, its limits, its answers."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses

from bridge.config import SourceConfig
from bridge.errors import VendorError, VendorRejected
from bridge.http import HttpClient
from bridge.integrations.voucherify.client import (
    VoucherifyClient,
)
from bridge.integrations.voucherify.publications import PAGE, PublicationPager

NOON = datetime(2026, 8, 21, 12, tzinfo=UTC)
DATE = "Fri, 21 Aug 2026 12:00:00 GMT"
NOON_SECONDS = int(NOON.timestamp())
LIST = "https://api.voucherify.io/v1/publications"
VOUCHER = "https://api.voucherify.io/v1/vouchers/v_1"


def item(minutes: float, name: str | None = None) -> dict[str, Any]:
    """A publication made so many minutes before noon."""
    made = NOON - timedelta(minutes=minutes)
    return {"id": name or f"pub_{minutes}", "created_at": made.isoformat()}


class Book:
    """A list in pages; each page may be replaced by another list, or by an error."""

    def __init__(
        self,
        items: Sequence[Any],
        *,
        pages: Mapping[int, Any] | None = None,
        total: int | None = None,
        size: int = PAGE,
    ) -> None:
        self.items, self.pages, self.size = items, pages or {}, size
        self.total = len(items) if total is None else total
        self.asked: list[int] = []

    def page(self, number: int, size: int) -> Any:
        self.asked.append(number)
        size = min(size, self.size)
        items = self.items[(number - 1) * size : number * size]
        found = self.pages.get(number, items)
        if isinstance(found, Exception):
            raise found
        return {"publications": found, "total": self.total}


def walk(book: Book, minutes: float = 10_000) -> list[str | None]:
    pager = PublicationPager(book, lambda _: None)
    return [one.id for one in pager.since(NOON - timedelta(minutes=minutes))]


def names(count: int) -> list[str]:
    return [f"pub_{minutes}" for minutes in range(count)]


def test_every_page_is_read_as_far_as_the_moment_and_no_further() -> None:
    book = Book([item(minutes) for minutes in range(1000)])
    assert walk(book, 250.5) == names(300)
    assert book.asked == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
def test_the_end_of_the_list_is_found(count: int) -> None:
    assert walk(Book([item(minutes) for minutes in range(count)])) == names(count)


def test_what_is_published_meanwhile_moves_pages_and_loses_nothing() -> None:
    items = [item(minutes) for minutes in range(250)]
    moved = [item(-1), item(-2), *items][100:200]
    book = Book(items, pages={2: moved, 3: items[198:]}, total=252)
    assert walk(book, 240) == names(250)


def test_a_list_in_another_order_is_read_whole() -> None:
    book = Book([item(minutes) for minutes in reversed(range(250))])
    notes: list[str] = []
    since = NOON - timedelta(minutes=5)
    found = [one.id for one in PublicationPager(book, notes.append).since(since)]
    assert sorted(map(str, found)) == sorted(names(250))
    assert notes == ["the list is not in order of time: reading all of it"]


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def api(waits: list[float]) -> VoucherifyClient:
    config = SourceConfig(
        name="shop",
        kind="voucherify",
        base_url="https://api.voucherify.io",
        secrets={"app_id": ("id",), "app_token": ("token",)},
        variables={"app_id": "SHOP_ID", "app_token": "SHOP_TOKEN"},
    )
    return VoucherifyClient(
        HttpClient(), config, sleep=waits.append, notify=lambda _: None
    )


@pytest.fixture
def answers() -> Iterator["Answers"]:
    with responses.RequestsMock() as mock:
        yield mock


Answers = responses.RequestsMock


@pytest.mark.parametrize(
    ("trouble", "wait"),
    [
        ({"status": 500}, 1),
        ({"status": 503}, 1),
        ({"body": '{"publications": [{"id'}, 1),
        ({"status": 429}, 1),
        ({"status": 429, "headers": {"Retry-After": "37"}}, 37),
        ({"status": 429, "headers": {"Retry-After": "soon"}}, 1),
        ({"headers": {"X-Rate-Limit-Retry": str(NOON_SECONDS + 9)}, "status": 429}, 9),
    ],
    ids=["500", "503", "truncated", "429", "Retry-After", "nonsense", "moment"],
)
def test_what_may_pass_is_asked_again(
    trouble: dict[str, Any],
    wait: float,
    api: VoucherifyClient,
    answers: Answers,
    waits: list[float],
) -> None:
    trouble["headers"] = {"Date": DATE} | trouble.get("headers", {})
    answers.get(LIST, **trouble)
    answers.get(LIST, json={"publications": []})
    assert api.page(1, 100) == {"publications": []}
    assert waits == [wait]


def test_a_voucher_that_cannot_be_seen_is_none_and_one_that_is_gone_an_error(
    api: VoucherifyClient, answers: Answers
) -> None:
    answers.get(VOUCHER, json={"id": "v_1", "code": "A"})
    answers.get(VOUCHER, status=403, json={"code": 403})
    answers.get(VOUCHER, status=404, body="no such page")
    body = {"code": 404, "key": "not_found", "resource_type": "voucher"}
    answers.get(VOUCHER, status=404, json=body)
    assert api.voucher("v_1") == {"id": "v_1", "code": "A"}
    assert api.voucher("v_1") is None
    assert api.voucher("v_1") is None
    with pytest.raises(VendorRejected, match="404 not_found"):
        api.voucher("v_1")


def test_rejected_keys_are_named_by_their_variables(
    api: VoucherifyClient, answers: Answers
) -> None:
    answers.get(LIST, status=401, json={"code": 401})
    with pytest.raises(VendorError, match="401: SHOP_ID and SHOP_TOKEN are not accept"):
        api.page(1, 100)
