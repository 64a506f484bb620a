"""Translates between the tests' new words and the words of the program under test.

Tests are written in the words of the design. `PRODUCT_DIALECT=NEW` runs them against a
program that speaks these; until then every key, option and log event is translated.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import requests

#: True where the program under test speaks the old words.
OLD = os.environ.get("PRODUCT_DIALECT", "OLD").upper() == "OLD"

_ROUTE_KEYS = {
    "match": "when",
    "previous_names": "formerly",
    "group_by": "per",
    "min_validity": "not_within",
    "limit_per_customer": "per_customer",
    "on_unknown_outcome": "in_doubt",
}
_SECTION_KEYS = {
    "retry": {"retry_unknown_user_after": "unknown_user_grace"},
    "retention": {"redact_after": "blank_after", "delete_after": "remove_after"},
    "alerts": {
        "max_queue_age": "oldest_due",
        "consecutive_webhook_failures": "upstream_failures",
    },
    "limit_per_customer": {"max": "count", "window": "within"},
}
#: Options, where they differ: by command and new name.
_OPTIONS = {
    ("worker", "--status-address"): "--state",
    ("replay", "--reprocess"): "--stored",
    ("events", "--export"): "--capture",
}
_LOG_EVENTS = {
    "gate.closed": "circuit.opened",
    "gate.opened": "circuit.closed",
    "gate.narrowed": "circuit.half_open",
    "request.refused": "request.rejected",
    "upstream.alarm": "webhook.failing",
}
#: Metric names, from the new to the old.
_METRICS: dict[str, str] = {
    "bridge_webhook_consecutive_failures": "bridge_upstream_failures_in_a_row",
}


def new_only(why: str) -> pytest.MarkDecorator:
    """Skip a test of a promise that the old program does not keep.

    Args:
        why: What the old program does instead.
    """
    return pytest.mark.skipif(OLD, reason=f"new program only: {why}")


def config(sections: Mapping[str, Any]) -> dict[str, Any]:
    """Write a configuration in the words of the program under test."""
    if not OLD:
        return dict(sections)
    found = {
        name: _renamed(value, _SECTION_KEYS.get(name, {}))
        for name, value in sections.items()
        if name not in ("destinations", "sources", "routes")
    }
    for name, settings in sections.get("destinations", {}).items():
        found[name] = _old_destination(settings)
    variables = _old_variables(sections)
    if variables:
        found["environment"] = variables
    if "routes" in sections:
        found["routes"] = [_old_route(one) for one in sections["routes"]]
    return found


def command(arguments: Sequence[str]) -> list[str]:
    """Write a command line in the words of the program under test."""
    if not OLD or not arguments:
        return list(arguments)
    name, *rest = arguments
    if name == "receipts":
        return ["events", *rest]
    if name in ("resolve", "pause", "resume"):
        rest = [one for one in rest if one != "--yes"]  # they act at once
    return [name, *(_OPTIONS.get((name, one), one) for one in rest)]


def log_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Read one line of the program's log: its event under the new name."""
    event = str(record.get("event"))
    return {**record, "event": _LOG_EVENTS.get(event, event) if OLD else event}


def metric(name: str) -> str:
    """Give the name the program under test has for a metric."""
    return _METRICS.get(name, name) if OLD else name


def place(path: str) -> str:
    """Give the place of a configuration problem: `routes.0.group_by` and the like."""
    if not OLD:
        return path
    path = path.replace("destinations.iterable.timeout", "iterable.timeout_seconds")
    path = path.replace("destinations.iterable", "iterable")
    words = path.split(".")
    renamed: dict[str, str] = {**_ROUTE_KEYS}
    for keys in _SECTION_KEYS.values():
        renamed |= keys
    return ".".join(renamed.get(word, word) for word in words)


def compatible_event_id(answer: requests.Response) -> str:
    """Check that an Iterable-compatible endpoint took a body; return our event's id."""
    if OLD:
        assert answer.status_code == 202, answer.text
        return str(answer.json()["event_id"])
    assert answer.status_code == 200, answer.text
    assert answer.json().keys() >= {"msg", "code", "params"}
    assert answer.json()["code"] == "Success"
    return str(answer.headers["X-Event-Id"])


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {names.get(key, key): one for key, one in value.items()}


def _old_destination(settings: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: one for name, one in settings.items() if name != "api_key"}
    if "timeout" in found:
        found["timeout_seconds"] = float(str(found.pop("timeout")).removesuffix("s"))
    return found


def _old_variables(sections: Mapping[str, Any]) -> dict[str, str]:
    """Collect which variables hold the secrets, where the file names others."""
    destination = sections.get("destinations", {}).get("iterable", {})
    source = sections.get("sources", {}).get("voucherify", {})
    named = {
        "ITERABLE_API_KEY": destination.get("api_key"),
        "VOUCHERIFY_WEBHOOK_SECRET": source.get("secret"),
    }
    return {name: str(other) for name, other in named.items() if other}


def _old_route(route: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Callable[[Any], Any]] = {
        "limit_per_customer": lambda value: _renamed(
            value, _SECTION_KEYS["limit_per_customer"]
        )
    }
    return {
        _ROUTE_KEYS.get(key, key): nested.get(key, lambda one: one)(value)
        for key, value in route.items()
        if key not in ("from", "to")
    }
