"""The shape of `config.yaml`: names, types, defaults, ranges, and names of the past.

Sections of vendors (below `sources` and `destinations`) have only their common part
here. A vendor's folder declares the rest with `Schema`, `fields`, `validate` (which are
marshmallow's) and `Duration` from here.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from marshmallow import (
    Schema,
    ValidationError,
    fields,
    post_load,
    validate,
    validates_schema,
)

from bridge.config.settings import Alerts, Match, Retention, Retry, Verify
from bridge.model import CustomerLimit

__all__ = ["Duration", "Schema", "ValidationError", "fields", "validate"]

VOUCHER_TYPES = ("DISCOUNT_VOUCHER", "GIFT_VOUCHER", "LOYALTY_CARD", "NONE")
MEBIBYTE = 1024 * 1024
#: Business keys are known for so long, so rows that they name are kept as long.
LEAST_KEPT = timedelta(days=30)
_DAY, _TEN_YEARS = timedelta(days=1), timedelta(days=3660)

#: Old setting -> sentence that says the new one, by the section it is in.
RENAMED: Mapping[str, Mapping[str, str]] = {
    "file": {"iterable": "is now `destinations: {iterable: …}`"},
    "route": {
        "when": "is now `match`",
        "per": "is now `group_by`",
        "formerly": "is now `previous_names`",
        "not_within": "is now `min_validity`",
        "per_customer": "is now `limit_per_customer: {max: …, window: …}`",
        "in_doubt": "is now `on_unknown_outcome`",
    },
    "retry": {"unknown_user_grace": "is now `retry_unknown_user_after`"},
    "retention": {
        "blank_after": "is now `redact_after`",
        "remove_after": "is now `delete_after`",
    },
    "alerts": {
        "oldest_due": "is now `max_queue_age`",
        "upstream_failures": "is now `consecutive_webhook_failures`",
    },
    "sources": {},
    "destinations": {"timeout_seconds": "is now `timeout: …s`"},
}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)")
_UNITS: Mapping[str, int] = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(fields.Field[timedelta]):
    """A setting such as `90s`, `15m`, `72h`, `30d`, or a number of seconds.

    Args:
        least: Shortest duration allowed; always more than nothing.
        most: Longest duration allowed.
        options: marshmallow's own.
    """

    def __init__(
        self,
        *,
        least: timedelta = timedelta(0),
        most: timedelta = timedelta(days=366),
        **options: Any,
    ) -> None:
        self._least, self._most = least, most
        super().__init__(**options)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> timedelta:
        match = _DURATION.fullmatch(str(value).strip())
        if match is None or isinstance(value, bool):
            raise ValidationError("must be a duration such as 90s, 15m, 72h or 30d")
        span = timedelta(seconds=float(match[1]) * _UNITS[match[2] or "s"])
        if not span or not self._least <= span <= self._most:
            least = _shown(self._least) if self._least else ""
            low = f"at least {least}" if least else "more than 0s"
            raise ValidationError(f"must be {low} and at most {_shown(self._most)}")
        return span


def _shown(span: timedelta) -> str:
    return f"{span.days}d" if span.days else f"{span.seconds}s"


class _Texts(fields.List[Any]):
    """A list of texts, made a tuple; empty by default."""

    def __init__(self, **options: Any) -> None:
        super().__init__(fields.String(**options), load_default=tuple)

    def _deserialize(self, *args: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(*args, **kwargs))


class _SettingsSchema(Schema):
    """A section that becomes one of the classes of `bridge.config.settings`."""

    makes: ClassVar[type]

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return self.makes(**data)


def _positive(maximum: float) -> validate.Range:
    return validate.Range(min=0, min_inclusive=False, max=maximum)


def _nested(schema: type[Schema]) -> fields.Nested:
    """Make a section whose absence means its defaults."""
    return fields.Nested(schema, load_default=lambda: schema().load({}))


is_name = validate.Regexp(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z",
    error="must be letters, digits, dots, dashes and underscores, at most 64",
)


class _VerifySchema(_SettingsSchema):
    makes = Verify
    after = Duration(load_default=timedelta(seconds=60))
    rate_per_second = fields.Float(load_default=3.0, validate=_positive(10_000))


class SourceSchema(Schema):
    """What every section below `sources` has."""

    kind = fields.String()


class DestinationSchema(SourceSchema):
    """What every section below `destinations` has."""

    base_url = fields.String(load_default=None)
    timeout = Duration(load_default=timedelta(seconds=15), most=timedelta(minutes=5))
    rate_per_second = fields.Float(load_default=None, validate=_positive(100_000))
    verify = _nested(_VerifySchema)


class _RetrySchema(_SettingsSchema):
    makes = Retry
    max_age = Duration(load_default=timedelta(hours=72))
    # Iterable makes profiles asynchronously and asks for a minute.
    retry_unknown_user_after = Duration(
        least=timedelta(seconds=60), load_default=None, allow_none=True
    )


class _RetentionSchema(_SettingsSchema):
    makes = Retention
    redact_after = Duration(
        least=_DAY, most=_TEN_YEARS, load_default=None, allow_none=True
    )
    delete_after = Duration(
        least=LEAST_KEPT, most=_TEN_YEARS, load_default=None, allow_none=True
    )

    @validates_schema
    def _check_order(self, data: dict[str, Any], **_: Any) -> None:
        first, last = data.get("redact_after"), data.get("delete_after")
        if first and last and first > last:
            raise ValidationError("is longer than delete_after", "redact_after")


def _count(default: int, *, least: int = 1) -> fields.Integer:
    # No table will ever have so many rows: the largest number means never.
    is_sound = validate.Range(min=least, max=10**9)
    return fields.Integer(strict=True, load_default=default, validate=is_sound)


class _AlertsSchema(_SettingsSchema):
    makes = Alerts
    held = _count(100)
    dead = _count(100)
    max_queue_age = Duration(load_default=timedelta(minutes=15))
    consecutive_webhook_failures = _count(5)
    parked = _count(0, least=0)
    ignored_growth = _count(1000)


class _MatchSchema(_SettingsSchema):
    makes = Match
    raw = fields.Boolean(load_default=None, truthy={True}, falsy={False})
    events = _Texts()
    campaigns = _Texts()
    vouchers = _Texts(validate=validate.OneOf(VOUCHER_TYPES))


class _LimitSchema(_SettingsSchema):
    makes = CustomerLimit
    max = fields.Integer(
        strict=True, required=True, validate=validate.Range(min=1, max=100)
    )
    window = Duration(required=True)


class _RecipientRule(fields.Field[Any]):
    """`source_id`, `email`, `{email: source_id}` or `{lookup: FILE.csv}`."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if value == {"email": "source_id"}:
            return "source_id_as_email"
        if value in ("source_id", "email"):
            return value
        is_lookup = isinstance(value, dict) and set(value) == {"lookup"}
        if is_lookup and isinstance(value["lookup"], str):
            return value
        raise ValidationError(
            "must be source_id, email, {email: source_id} or {lookup: FILE.csv}"
        )


def _is_free(name: str) -> None:
    # `pause destination` is about all routes.
    if name == "destination":
        raise ValidationError("means all routes together: choose another name")


class RouteSchema(Schema):
    """One route."""

    name = fields.String(required=True, validate=[is_name, _is_free])
    previous_names = _Texts(validate=is_name)
    from_ = fields.String(data_key="from", load_default=None)
    match = fields.Nested(_MatchSchema, required=True)
    recipient = fields.List(
        _RecipientRule(), load_default=None, validate=validate.Length(min=1)
    )
    group_by = fields.String(
        load_default="voucher", validate=validate.OneOf(["voucher", "publication"])
    )
    to = fields.String(load_default=None)
    endpoint = fields.String(load_default=None)
    campaign_id = fields.Integer(
        strict=True, load_default=None, validate=validate.Range(min=1, max=2**63 - 1)
    )
    template = fields.String(required=True, validate=validate.Length(min=1))
    code_fields = _Texts()
    on_unknown_outcome = fields.String(
        load_default=None, validate=validate.OneOf(["verify", "resend", "hold"])
    )
    min_validity = Duration(load_default=None, allow_none=True)
    limit_per_customer = fields.Nested(_LimitSchema, load_default=None, allow_none=True)


class _ReceiveSchema(Schema):
    max_body_bytes = fields.Integer(
        strict=True,
        load_default=4 * MEBIBYTE,
        validate=validate.Range(min=1024, max=64 * MEBIBYTE),
    )


class FileSchema(Schema):
    """The whole file; unknown settings are errors everywhere in it."""

    # Each route and section is loaded on its own, so that one does not hide another's.
    routes = fields.List(fields.Raw(), required=True, validate=validate.Length(min=1))
    sources = fields.Dict(keys=fields.String(validate=is_name), load_default=dict)
    destinations = fields.Dict(keys=fields.String(validate=is_name), load_default=dict)
    retry = _nested(_RetrySchema)
    retention = _nested(_RetentionSchema)
    alerts = _nested(_AlertsSchema)
    receive = _nested(_ReceiveSchema)
    templates = fields.String(load_default="templates")
    environment = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.Regexp(r"\S+\Z", error="is blank")),
        load_default=dict,
    )
