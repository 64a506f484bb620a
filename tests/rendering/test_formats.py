"""Numbers, money and dates for people, and Iterable's dates."""

from typing import Any

import pytest

from bridge.errors import RenderError
from tests.rendering.payloads import value

TIME = "2026-12-31T22:59:59.000Z"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1500 | money", "15.00"),
        ("1505 | money('EUR')", "15.05 EUR"),
        ("-150 | money", "-1.50"),
        ("7.0 | money", "0.07"),
        ("voucher.discount.amount_off | money(currency='USD')", "15.00 USD"),
        ("150000 | money('JPY')", "1500 JPY"),
        ("123456789 | money('EUR', 'de', symbol=false)", "1.234.567,89 EUR"),
        ("123456789 | money('EUR', 'de')", "1.234.567,89 €"),
        ("5000 | money('EUR', locale='en')", "€50.00"),
        ("150000 | money('JPY', 'en')", "¥1,500"),
        ("5000 | money('', 'de')", "50,00"),
        ("1234567.5 | number", "1,234,567.5"),
        ("1234.5 | number(2, 'de')", "1.234,50"),
        ("'1234.5' | number(0, locale='pt-BR')", "1.234"),
        ("'12' | int", 12),
        ("'12.7' | int", 12),
        ("'ff' | int(base=16)", 255),
        ("'12.5' | float", 12.5),
        ("'x' | int(3)", 3),
        ("'x' | float(0.5)", 0.5),
        ("'12.504' | float | round(2) ~ ' EUR'", "12.5 EUR"),
    ],
)
def test_numbers_are_written_for_people(expression: str, expected: Any) -> None:
    assert value(expression) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "December 31, 2026"),
        ("'short', locale='en_GB'", "31/12/2026"),
        ("'long', 'Europe/Helsinki', 'fi'", "1. tammikuuta 2027"),
        ("'d MMMM yyyy HH:mm', 'Europe/Helsinki'", "1 January 2027 00:59"),
        ("'dd.MM.yyyy', tz='Europe/Berlin', locale='de'", "31.12.2026"),
    ],
)
def test_times_are_written_for_people(arguments: str, expected: str) -> None:
    expression = f"customer.at | date({arguments})"
    assert value(expression, customer={"at": TIME}) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("2026-08-20T09:15:11.880Z", "2026-08-20 09:15:11 +00:00"),
        ("2026-08-20T23:15:11+02:00", "2026-08-20 21:15:11 +00:00"),
        ("2026-08-20T09:15:11.880", "2026-08-20 09:15:11 +00:00"),
        ("2024-05-13T12: 26: 06.250Z", "2024-05-13 12:26:06 +00:00"),
        ("2026-08-20", "2026-08-20"),
    ],
)
def test_iterable_date_writes_utc(when: str, expected: str) -> None:
    assert value("customer.at | iterable_date", customer={"at": when}) == expected


@pytest.mark.parametrize(
    "expression",
    [
        *("'1500' | money", "15.5 | money", "true | money", "[1] | money"),
        *("1500 | money('euro')", "1500 | money('EUR', 'xx')", "1 | number(99)"),
        *("'x' | number", "1 | number(locale='nowhere')"),
        *("customer.at | date(tz='Mars')", "customer.at | date(locale='xx_yy_zz')"),
        *("customer.at | date(tz='../etc')", "customer.at | date('')"),
    ],
)
def test_a_format_that_cannot_be_is_refused(expression: str) -> None:
    with pytest.raises(RenderError):
        value(expression, customer={"at": TIME})
