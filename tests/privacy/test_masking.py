"""Masked pages: nothing personal is shown until it is asked for."""

import json

import pytest

from bridge.privacy import Redactor, mask, personal_values

BODY = {
    "id": "whs_11bf20b1d17afe0bd2",
    "type": "voucher.published",
    "created_at": "2026-08-20T09:15:11.880Z",
    "data": {
        "customer": {
            "id": "cust_FY08nyJ1kUiMa7YkbrfM5fZt",
            "name": "Ana Whitfield",
            "telephone": "+49 170 1234567",
            "metadata": {"vorname": "Anabel", "iban": "DE02120300000000202051", "n": 7},
        },
        "campaign": {"name": "Welcome Codes"},
        "vouchers": ["BARE-CODE-1"],
        "couponcode": "LOWER-1",
        "couponCode": 77712345,
        "phone": 491701234567,
        "statusCode": 200,
        "amount": 1500,
    },
}


@pytest.mark.parametrize(
    "secret",
    [
        *("Ana", "Whitfield", "1234567", "Anabel", "DE0212", "BARE-CODE-1", "LOWER-1"),
        *("77712345", "491701234567"),
    ],
)
def test_a_masked_body_shows_nobody_and_no_code(secret: str) -> None:
    shown = Redactor(revealed=False).body(json.dumps(BODY).encode())
    assert secret not in shown


@pytest.mark.parametrize(
    "harmless",
    [
        *("whs_11bf20b1d17afe0bd2", "voucher.published", "2026-08-20T09:15:11.880Z"),
        *("Welcome Codes", "200", "1500", "cust_FY08nyJ1kUiMa7YkbrfM5fZt"),
    ],
)
def test_a_masked_body_shows_what_it_is_about(harmless: str) -> None:
    assert harmless in Redactor(revealed=False).body(json.dumps(BODY).encode())


def test_personal_values_are_hidden_in_every_other_text() -> None:
    redactor = Redactor(personal_values(json.dumps(BODY).encode()), revealed=False)
    text = redactor.text("pub:1:BARE-CODE-1 for Ana, 77712345, kim@shop.example")
    assert text == "pub:1:BA•••• for ••••, 77••••, k••••@••••"


def test_a_revealed_body_is_whole() -> None:
    shown = Redactor(revealed=True).body(json.dumps(BODY).encode())
    assert json.loads(shown) == BODY


@pytest.mark.parametrize("body", [b"\xff\xfe", b"no json", b"[" * 5000, b"NaN"])
def test_a_body_whose_values_have_no_names_is_hidden_as_a_whole(body: bytes) -> None:
    assert "hidden" in Redactor(revealed=False).body(body)


def test_deep_nesting_is_shown_as_text_when_revealed() -> None:
    body = b'{"a":' * 500 + b"1" + b"}" * 500
    assert Redactor(revealed=True).body(body) == body.decode()


def test_control_and_direction_characters_are_spelled_out() -> None:
    assert Redactor(revealed=True).text("a\u202eb\x1b[1m") == "a\\u202eb\\x1b[1m"


def test_a_mask_keeps_two_characters_of_a_long_value() -> None:
    assert (mask("WLCM-7Qx2Lp"), mask("abc")) == ("WL••••", "••••")


def test_hiding_is_linear_in_the_values_of_a_page() -> None:
    body = json.dumps({"note": " ".join(f"word{n}" for n in range(60_000))}).encode()
    redactor = Redactor(personal_values(body), revealed=False)
    assert "word19" not in redactor.text("a reason about word19 and others")
