"""Values as people read them, and as Iterable reads dates: numbers, money, dates."""

import re
from datetime import UTC, datetime
from datetime import date as calendar_date
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, get_currency_precision

from bridge.rendering.values import Refusal, kind

#: Without these a template would show whatever an unfit value comes to.
_NO_DEFAULT = object()
_DATE_ONLY = re.compile(r"\d{4}-\d\d-\d\d")
#: One published example of Voucherify has blanks within the time.
_LOOSE_COLON = re.compile(r"\s*:\s*")
_STYLES = ("short", "medium", "long", "full")
_CURRENCY = re.compile(r"[A-Z]{3}")
#: In an SMS, one blank that cannot break halves the characters that fit.
_BLANKS = str.maketrans({"\xa0": " ", "\u202f": " "})


def as_number(value: object) -> int | float | None:
    """Read a number, or a text that is one; None where it is neither."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    try:
        number = Decimal(value.strip()) if isinstance(value, str) else None
    except InvalidOperation:
        return None
    if number is None or not number.is_finite() or abs(number.adjusted()) > 30:  # noqa: PLR2004 - far beyond any amount
        return None
    return int(number) if number == number.to_integral_value() else float(number)


def to_int(value: object, default: object = _NO_DEFAULT, base: int = 10) -> object:
    """Make a whole number of a number or a text; cut off what follows the point."""
    if base != 10 and isinstance(value, str):  # noqa: PLR2004 - the usual base
        try:
            return int(value, base)
        except ValueError:
            return _instead("int", value, default)
    number = as_number(value)
    return _instead("int", value, default) if number is None else int(number)


def to_float(value: object, default: object = _NO_DEFAULT) -> object:
    """Make a number of a number or a text."""
    number = as_number(value)
    return _instead("float", value, default) if number is None else float(number)


def _instead(name: str, value: object, default: object) -> object:
    if default is _NO_DEFAULT:
        raise Refusal(f"`{name}` got {kind(value)} that is no number")
    return default


def number(value: object, decimals: int | None = None, locale: str = "en") -> str:
    """Write an amount of anything for people: `"1.234,50"`.

    Args:
        value: A number, or a text that is one.
        decimals: Digits after the point; None for as many as it has, up to three.
        locale: Language and country, such as `de` or `pt_BR`.
    """
    found = as_number(value)
    if found is None:
        raise Refusal(f"`number` got {kind(value)} that is no number")
    if decimals is None:
        pattern = None
    elif 0 <= decimals <= 10:  # noqa: PLR2004 - more are noise
        pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    else:
        raise Refusal("`number` writes from 0 to 10 decimals")
    text = format_decimal(Decimal(str(found)), format=pattern, locale=_locale(locale))
    return text.translate(_BLANKS)


def money(
    cents: object,
    currency: str = "",
    locale: str = "",
    symbol: bool = True,
) -> str:
    """Write an amount, which Voucherify has in hundredths whatever the currency.

    Args:
        cents: A whole number, perhaps negative.
        currency: ISO code; it decides on the decimals (JPY has none).
        locale: Language and country (`de`, `en_US`) for people to read; without it,
            a plain number and the code: `15.00 EUR`.
        symbol: False writes the code (`EUR`) in place of the symbol (`€`).
    """
    if isinstance(cents, float) and cents.is_integer():
        cents = int(cents)
    if not isinstance(cents, int) or isinstance(cents, bool):
        raise Refusal("`money` needs a whole number of cents")
    if currency and not _CURRENCY.fullmatch(currency):
        raise Refusal("`money` needs a currency code such as EUR")
    digits = get_currency_precision(currency) if currency else 2
    amount = Decimal(cents) / 100
    if not locale:
        text = f"{amount:.{digits}f}"
        return f"{text} {currency}" if currency else text
    if not currency:
        return number(float(amount), 2, locale)
    if symbol:
        text = format_currency(amount, currency, locale=_locale(locale))
        return text.translate(_BLANKS)
    return f"{number(str(amount), digits, locale)} {currency}"


def iterable_date(value: object) -> str:
    """Write an ISO 8601 time as Iterable's date fields need it, in UTC.

    A date without a time is left as it is; a time without a zone is UTC.

    References:
        Segment's Iterable destination converts the same way.
    """
    moment = _moment("iterable_date", value)
    if not isinstance(moment, datetime):
        return moment.isoformat()
    moment = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{moment.isoformat(' ', 'seconds')} +00:00"


def date(
    value: object,
    format: str = "long",  # noqa: A002 - what templates say
    tz: str = "UTC",
    locale: str = "en",
) -> str:
    """Write an ISO 8601 time for people: `"1 January 2027"`.

    Args:
        value: The time; a date without a time is that date in every time zone.
        format: `short`, `medium`, `long`, `full` (the date alone), or a pattern such as
            `d MMMM yyyy HH:mm`.
        tz: Time zone, such as `Europe/Helsinki`.
        locale: Language and country, such as `fi` or `en_GB`.

    References:
        https://babel.pocoo.org/en/latest/dates.html#date-fields
    """
    moment, language = _moment("date", value), _locale(locale)
    if isinstance(moment, datetime):
        moment = moment.astimezone(_zone(tz))
    if format in _STYLES:
        day = moment.date() if isinstance(moment, datetime) else moment
        return format_date(day, format, locale=language).translate(_BLANKS)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    text = format_datetime(moment, format, tzinfo=moment.tzinfo, locale=language)
    return text.translate(_BLANKS)


def _moment(name: str, value: object) -> datetime | calendar_date:
    if not isinstance(value, str):
        raise Refusal(f"`{name}` needs a text such as 2026-08-20T09:15:11.880Z")
    try:
        if _DATE_ONLY.fullmatch(value.strip()):
            return calendar_date.fromisoformat(value.strip())
        moment = datetime.fromisoformat(_LOOSE_COLON.sub(":", value.strip()))
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Refusal(f"`{name}` got a text that is no ISO 8601 time") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Refusal("`date` needs a time zone such as Europe/Helsinki") from None


def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        raise Refusal("a locale must be one such as en, de or pt_BR") from None
