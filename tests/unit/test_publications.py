from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import responses

from bridge.config import Voucherify
from bridge.errors import VoucherifyError, VoucherifyRefusal
from bridge.http import Http
from bridge.publications import Api, Listing, listing
from bridge.publications.limits import asked_wait, wait_before_next
from bridge.publications.listing import PAGE
from bridge.publications.reading import read

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
    listing = Listing(book, lambda _: None)
    return [one.id for one in listing.since(NOON - timedelta(minutes=minutes))]


def names(count: int) -> list[str]:
    return [f"pub_{minutes}" for minutes in range(count)]


def test_every_page_is_read_as_far_as_the_moment_and_no_further() -> None:
    book = Book([item(minutes) for minutes in range(1000)])
    assert walk(book, 250.5) == names(300)
    assert book.asked == [1, 2, 3]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
def test_the_end_of_the_list_is_found(count: int) -> None:
    assert walk(Book([item(minutes) for minutes in range(count)])) == names(count)


def test_pages_smaller_than_asked_for_are_read_on() -> None:
    book = Book([item(minutes) for minutes in range(95)], size=10)
    assert walk(book) == names(95)


def test_what_is_published_meanwhile_moves_pages_and_loses_nothing() -> None:
    items = [item(minutes) for minutes in range(250)]
    moved = [item(-1), item(-2), *items][100:200]
    book = Book(items, pages={2: moved, 3: items[198:]}, total=252)
    assert walk(book, 240) == names(250)


def test_a_list_in_another_order_is_read_whole() -> None:
    book = Book([item(minutes) for minutes in reversed(range(250))])
    told: list[str] = []
    since = NOON - timedelta(minutes=5)
    found = [one.id for one in Listing(book, told.append).since(since)]
    assert sorted(map(str, found)) == sorted(names(250))
    assert told == ["the list is not in order of time: reading all of it"]


def test_an_order_that_changes_between_pages_and_skips_some_is_an_error() -> None:
    items = [item(minutes) for minutes in range(200)]
    shuffled = [*items[90:100], *items[110:]]
    with pytest.raises(VoucherifyError, match="has 200 publications and lists 190"):
        walk(Book(items, pages={2: shuffled}), 199)


def test_a_page_that_repeats_for_ever_is_an_error() -> None:
    items = [item(minutes) for minutes in range(100)]
    book = Book(items, pages=dict.fromkeys(range(2, 50), items), total=5000)
    with pytest.raises(VoucherifyError, match="bring nothing new"):
        walk(book)
    assert len(book.asked) == 6


def test_pages_without_end_are_an_error_at_the_last_one_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listing, "LAST_PAGE", 5)

    class Endless(Book):
        def page(self, number: int, size: int) -> Any:
            self.asked.append(number)
            first = number * size
            return {"publications": [item(0, f"pub_{first + i}") for i in range(size)]}

    book = Endless([])
    with pytest.raises(VoucherifyError, match="lists no further back"):
        walk(book)
    assert len(book.asked) == 5


def test_a_page_beyond_what_voucherify_lists_says_how_far_it_goes() -> None:
    refusal = VoucherifyRefusal("400", status=400, resource=None)
    book = Book([item(minutes) for minutes in range(500)], pages={3: refusal})
    with pytest.raises(VoucherifyError, match=r"further back than 2026-08-21 08:41Z"):
        walk(book)


@pytest.mark.parametrize("page", [None, {}, {"publications": 1}, [], "x"])
def test_what_is_no_page_is_an_error(page: Any) -> None:
    class Odd(Book):
        def page(self, *_: int) -> Any:
            return page

    with pytest.raises(VoucherifyError, match="no list of publications"):
        walk(Odd([]))


@pytest.mark.parametrize(
    "odd",
    [
        None,
        1,
        "x",
        [],
        {},
        {"id": {}},
        {"id": "p", "created_at": 5, "customer": []},
        {"vouchers_id": [None, {}], "vouchers": [1, {}], "voucher": 3, "result": []},
        {"result": "FAILURE", "failure_code": 1, "created_at": "yesterday"},
    ],
)
def test_reading_an_item_never_fails(odd: Any) -> None:
    assert read(odd).published_at is None


def test_several_vouchers_are_texts_or_objects() -> None:
    texts = read({"vouchers": ["A", "B"], "vouchers_id": ["v_1", "v_2"]})
    objects = read({"vouchers": [{"code": "A"}, {"code": "B"}]})
    assert texts.codes == objects.codes == ("A", "B")
    assert texts.voucher_ids == ("v_1", "v_2")


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def api(waits: list[float]) -> Api:
    settings = Voucherify(
        base_url="https://api.voucherify.io", app_id="id", app_token="token"
    )
    http = Http(timedelta(seconds=5))
    return Api(http, settings, sleep=waits.append, told=lambda _: None)


@pytest.fixture
def answers() -> Any:
    with responses.RequestsMock(
        registry=responses.registries.OrderedRegistry
    ) as mocked:
        yield mocked


Answers = responses.RequestsMock


def test_the_newest_come_first_and_the_keys_go_along(
    api: Api, answers: Answers
) -> None:
    answers.get(LIST, json={"publications": []})
    assert api.page(7, 100) == {"publications": []}
    sent = answers.calls[0].request
    assert str(sent.url).endswith("?limit=100&page=7&order=-created_at")
    assert (sent.headers["X-App-Id"], sent.headers["X-App-Token"]) == ("id", "token")


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
    api: Api,
    answers: Answers,
    waits: list[float],
) -> None:
    trouble["headers"] = {"Date": DATE} | trouble.get("headers", {})
    answers.get(LIST, **trouble)
    answers.get(LIST, json={"publications": []})
    assert api.page(1, 100) == {"publications": []}
    assert waits == [wait]


def test_what_does_not_pass_ends_with_the_reason(
    api: Api, answers: Answers, waits: list[float]
) -> None:
    for _ in range(6):
        answers.get(LIST, status=502, body="<html>")
    with pytest.raises(VoucherifyError, match=r"asked 6 times.*the answer was 502"):
        api.page(1, 100)
    assert waits == [1, 2, 4, 8, 16]


def test_the_next_call_waits_where_few_are_left(
    api: Api, answers: Answers, waits: list[float]
) -> None:
    headers = {
        "Date": DATE,
        "X-Rate-Limit-Limit": "100",
        "X-Rate-Limit-Remaining": "10",
        "X-Rate-Limit-Retry": str(NOON_SECONDS + 42),
    }
    answers.get(LIST, json={}, headers=headers)
    answers.get(LIST, json={})
    api.page(1, 100)
    assert waits == []
    api.page(2, 100)
    assert waits == [42]


def test_a_voucher_that_cannot_be_seen_is_none_and_one_that_is_gone_an_error(
    api: Api, answers: Answers
) -> None:
    answers.get(VOUCHER, json={"id": "v_1", "code": "A"})
    answers.get(VOUCHER, status=403, json={"code": 403})
    answers.get(VOUCHER, status=404, body="no such page")
    body = {"code": 404, "key": "not_found", "resource_type": "voucher"}
    answers.get(VOUCHER, status=404, json=body)
    assert api.voucher("v_1") == {"id": "v_1", "code": "A"}
    assert api.voucher("v_1") is None
    assert api.voucher("v_1") is None
    with pytest.raises(VoucherifyRefusal, match="404 not_found"):
        api.voucher("v_1")


def test_an_answer_never_brings_its_own_words_along(api: Api, answers: Answers) -> None:
    answers.get(LIST, status=400, json={"key": "Bad \n key", "message": "secret"})
    with pytest.raises(VoucherifyRefusal, match=r"^400: Voucherify does not answer$"):
        api.page(1, 100)


def test_keys_that_cannot_be_sent_are_an_error() -> None:
    settings = Voucherify(base_url="https://x", app_id="id", app_token="a\nb")
    api = Api(Http(timedelta(1)), settings, sleep=lambda _: None, told=lambda _: None)
    with pytest.raises(VoucherifyError) as caught:
        api.page(1, 100)
    assert "a\nb" not in str(caught.value)


@pytest.mark.parametrize(
    ("read_wait", "headers", "seconds"),
    [
        (asked_wait, {}, None),
        (asked_wait, {"retry-after": "-5"}, None),
        (asked_wait, {"retry-after": "9" * 400}, None),
        (asked_wait, {"x-rate-limit-retry": "1", "date": DATE}, None),
        (asked_wait, {"x-rate-limit-retry": "1"}, None),
        (asked_wait, {"x-rate-limit-retry": f"{NOON_SECONDS + 3}", "date": "?"}, None),
        (wait_before_next, {}, None),
        (wait_before_next, {"x-rate-limit-remaining": "0"}, None),
        (
            wait_before_next,
            {
                "x-rate-limit-remaining": "0",
                "x-rate-limit-retry": f"{NOON_SECONDS + 3}",
                "date": DATE,
            },
            3,
        ),
    ],
)
def test_headers_that_say_nothing_ask_for_nothing(
    read_wait: Callable[[Mapping[str, str]], timedelta | None],
    headers: dict[str, str],
    seconds: int | None,
) -> None:
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert read_wait(headers) == expected
