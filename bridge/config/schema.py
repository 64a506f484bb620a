"""The shape of the file: names, types, defaults, ranges."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from marshmallow import (
    Schema,
    ValidationError,
    fields,
    pre_load,
    validate,
    validates_schema,
)

from bridge.config.environment import VARIABLES
from bridge.model import ENDPOINTS

#: Iterable's two data centres.
DATA_CENTERS = {
    "us": "https://api.iterable.com",
    "eu": "https://api.eu.iterable.com",
}
VOUCHER_TYPES = ("DISCOUNT_VOUCHER", "GIFT_VOUCHER", "LOYALTY_CARD", "NONE")
IN_DOUBT = ("verify", "resend", "hold")
MEBIBYTE = 1024 * 1024
#: In days: what was told is known for so long, whatever else is forgotten.
LEAST_KEPT = 30
TEN_YEARS = 3660


class _Duration(fields.Field[timedelta]):
    """`90s`, `15m`, `72h`, `30d`, or seconds as a number."""

    _UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}

    def __init__(self, *, days: tuple[int, int] = (0, 366), **options: Any) -> None:
        self._least, self._most = (timedelta(days=one) for one in days)
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta:
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", str(value).strip())
        if match is None or isinstance(value, bool):
            raise ValidationError("not a duration such as 90s, 15m, 72h or 30d")
        span = timedelta(seconds=float(match[1]) * self._UNITS[match[2] or "s"])
        if not span or not self._least <= span <= self._most:
            least = (
                f"at least {self._least.days}d" if self._least else "more than nothing"
            )
            raise ValidationError(f"must be {least} and at most {self._most.days}d")
        return span


def _positive(maximum: float) -> validate.Range:
    return validate.Range(min=0, min_inclusive=False, max=maximum)


class _VerifySchema(Schema):
    after = _Duration(load_default=timedelta(seconds=60))
    rate_per_second = fields.Float(load_default=3.0, validate=_positive(10_000))


class _IterableSchema(Schema):
    data_center = fields.String(
        load_default=None, validate=validate.OneOf(list(DATA_CENTERS))
    )
    rate_per_second = fields.Float(load_default=50.0, validate=_positive(100_000))
    timeout_seconds = fields.Float(load_default=15.0, validate=_positive(300))
    verify = fields.Nested(_VerifySchema, load_default=lambda: _VerifySchema().load({}))


def _is_a_minute(span: timedelta) -> None:
    # Iterable makes profiles asynchronously and asks for as much.
    if span < timedelta(minutes=1):
        raise ValidationError("must be 60s or more")


class _RetrySchema(Schema):
    max_age = _Duration(load_default=timedelta(hours=72))
    unknown_user_grace = _Duration(
        load_default=None, allow_none=True, validate=_is_a_minute
    )


class _RetentionSchema(Schema):
    blank_after = _Duration(days=(1, TEN_YEARS), load_default=None, allow_none=True)
    # The business keys name these rows for 30 days, and Voucherify sends an event
    # again by hand up to 14 days later.
    remove_after = _Duration(
        days=(LEAST_KEPT, TEN_YEARS), load_default=None, allow_none=True
    )

    @validates_schema
    def _blank_before_removal(self, data: Mapping[str, Any], **_: Any) -> None:
        first, last = data["blank_after"], data["remove_after"]
        if None not in (first, last) and first > last:
            raise ValidationError("is longer than remove_after", "blank_after")


class _ReceiveSchema(Schema):
    max_body_bytes = fields.Integer(
        strict=True,
        load_default=4 * MEBIBYTE,
        validate=validate.Range(min=1024, max=64 * MEBIBYTE),
    )


class _ConditionSchema(Schema):
    raw = fields.Boolean(load_default=None, truthy={True}, falsy={False})
    events = fields.List(fields.String(), load_default=list)
    campaigns = fields.List(fields.String(), load_default=list)
    vouchers = fields.List(
        fields.String(validate=validate.OneOf(VOUCHER_TYPES)), load_default=list
    )


class _RecipientField(fields.Field[Any]):
    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if value in ("source_id", "email"):
            return str(value)
        is_lookup = isinstance(value, dict) and set(value) == {"lookup"}
        if is_lookup and isinstance(value["lookup"], str):
            return value
        raise ValidationError("must be source_id, email or {lookup: FILE.csv}")


_is_name = validate.Regexp(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
    error="must be letters, digits, dots, dashes and underscores, at most 64",
)


def _is_free(name: str) -> None:
    # `pause destination` is about all routes.
    if name == "destination":
        raise ValidationError("stands for all routes together: choose another name")


def _are_variables(names: Mapping[str, str]) -> None:
    """Refuse names for what nobody reads, and names that are none."""
    unknown = "is no variable of the bridge"
    faults = {name: unknown for name in names if name not in VARIABLES}
    faults |= {name: "is blank" for name, other in names.items() if not other.strip()}
    if faults:
        raise ValidationError({name: [what] for name, what in faults.items()})


class _LimitSchema(Schema):
    count = fields.Integer(
        strict=True, required=True, validate=validate.Range(min=1, max=100)
    )
    within = _Duration(required=True)


class _RouteSchema(Schema):
    name = fields.String(required=True, validate=[_is_name, _is_free])
    formerly = fields.List(fields.String(validate=_is_name), load_default=list)
    when = fields.Nested(_ConditionSchema, required=True)
    recipient = fields.List(
        _RecipientField(), load_default=None, validate=validate.Length(min=1)
    )
    per = fields.String(
        load_default="voucher", validate=validate.OneOf(["voucher", "publication"])
    )
    endpoint = fields.String(
        load_default="email/target", validate=validate.OneOf(ENDPOINTS)
    )
    campaign_id = fields.Integer(
        strict=True, load_default=None, validate=validate.Range(min=1, max=2**63 - 1)
    )
    template = fields.String(required=True, validate=validate.Length(min=1))
    in_doubt = fields.String(load_default="verify", validate=validate.OneOf(IN_DOUBT))
    not_within = _Duration(load_default=None, allow_none=True)
    per_customer = fields.Nested(_LimitSchema, load_default=None, allow_none=True)


def _count(default: int) -> fields.Integer:
    # One more than any table will ever have rows is as good as never.
    is_sound = validate.Range(min=1, max=10**9)
    return fields.Integer(strict=True, load_default=default, validate=is_sound)


class _AlertsSchema(Schema):
    held = _count(100)
    dead = _count(100)
    oldest_due = _Duration(load_default=timedelta(minutes=15))
    upstream_failures = _count(5)


class FileSchema(Schema):
    """The whole file; unknown keys are errors everywhere in it."""

    iterable = fields.Nested(
        _IterableSchema, load_default=lambda: _IterableSchema().load({})
    )
    retry = fields.Nested(_RetrySchema, load_default=lambda: _RetrySchema().load({}))
    retention = fields.Nested(
        _RetentionSchema, load_default=lambda: _RetentionSchema().load({})
    )
    receive = fields.Nested(
        _ReceiveSchema, load_default=lambda: _ReceiveSchema().load({})
    )
    alerts = fields.Nested(_AlertsSchema, load_default=lambda: _AlertsSchema().load({}))
    templates = fields.String(load_default="templates")
    environment = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=dict,
        validate=_are_variables,
    )
    routes = fields.List(
        fields.Nested(_RouteSchema), required=True, validate=validate.Length(min=1)
    )

    @pre_load
    def refuse_null_sections(self, data: Any, **_: Any) -> Any:
        """Read `retry:` with nothing below it as the section's defaults."""
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if value is not None}
        return data
