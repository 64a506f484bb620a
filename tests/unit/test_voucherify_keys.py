from datetime import timedelta
from typing import Any

import pytest

from bridge.model import Parsed, Reward
from bridge.voucherify import find_reward, keys_of, whole_publication

MONTH = timedelta(days=30)
DAY = timedelta(hours=25)


def reward(number: int, **changes: Any) -> Reward:
    values: dict[str, Any] = {
        "key": f"pub:pub_1:v_{number}",
        "keep": MONTH,
        "customer_id": "cust_1",
        "vouchers": ({"id": f"v_{number}", "code": f"C-{number}"},),
        "codes": (f"C-{number}",),
        "publication_id": "pub_1",
        "published": 2,
    }
    return Reward(**(values | changes))


def parsed(*rewards: Reward) -> Parsed:
    return Parsed(
        transport_key="whs_1",
        is_hashed=False,
        kind="project",
        event_type="publication.succeeded",
        rewards=rewards,
        document={},
    )


def test_a_delivery_takes_its_business_key_and_one_a_code() -> None:
    assert keys_of(reward(1)) == (("pub:pub_1:v_1", MONTH), ("code:v_1:cust_1", DAY))


def test_the_hash_of_a_raw_body_is_kept_as_long_as_the_reward_says() -> None:
    raw = reward(1, key="raw:00", keep=DAY, vouchers=(), publication_id=None)
    assert keys_of(raw) == (("raw:00", DAY),)


def test_a_card_that_got_points_marks_no_repeat() -> None:
    points = reward(1, key="points:e:r:v_1", is_handed_over=False)
    assert keys_of(points) == (("points:e:r:v_1", MONTH),)


@pytest.mark.parametrize(
    "changes",
    [
        {"customer_id": None},
        {"vouchers": ({"code": "C-1"},)},
        {"vouchers": ({"id": ["v_1"], "code": "C-1"},)},
    ],
)
def test_without_both_ids_there_is_no_code_key(changes: dict[str, Any]) -> None:
    assert keys_of(reward(1, **changes)) == (("pub:pub_1:v_1", MONTH),)


def test_a_whole_publication_takes_every_single_key_as_well() -> None:
    whole = whole_publication([reward(1), reward(2)])
    assert keys_of(whole) == (
        ("pub:pub_1:*", MONTH),
        ("pub:pub_1:v_1", MONTH),
        ("pub:pub_1:v_2", MONTH),
        ("code:v_1:cust_1", DAY),
        ("code:v_2:cust_1", DAY),
    )


def test_a_whole_publication_shows_every_code_in_order() -> None:
    whole = whole_publication([reward(2), reward(1)])
    assert whole.codes == ("C-2", "C-1")
    assert [voucher["id"] for voucher in whole.vouchers] == ["v_2", "v_1"]


def test_a_reward_is_found_by_its_key() -> None:
    event = parsed(reward(1), reward(2))
    assert find_reward(event, "pub:pub_1:v_2") == reward(2)


def test_a_whole_publication_is_found_by_its_key() -> None:
    event = parsed(reward(1), reward(2), reward(3, publication_id="pub_2"))
    whole = whole_publication([reward(1), reward(2)])
    assert find_reward(event, "pub:pub_1:*") == whole


@pytest.mark.parametrize("key", ["", "pub:pub_9:v_1", "pub:pub_9:*", ":*", "pub::*"])
def test_an_unknown_key_finds_nothing(key: str) -> None:
    assert find_reward(parsed(reward(1), reward(2)), key) is None
    assert find_reward(parsed(reward(1, publication_id=None)), key) is None
