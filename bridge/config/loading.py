"""The file read, checked as a whole, and made into a `Config`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from marshmallow import ValidationError

from bridge.config.environment import Environment
from bridge.config.lookups import read_lookup
from bridge.config.reading import read
from bridge.config.schema import DATA_CENTERS, FileSchema
from bridge.config.settings import (
    Alerts,
    Condition,
    Config,
    Iterable,
    Log,
    Metrics,
    Receive,
    Retention,
    Retry,
    Role,
    Route,
    Secrets,
    Verify,
    Voucherify,
)
from bridge.errors import ConfigError, Problem
from bridge.model import Limit

#: Voucherify's own default region; it is only read there.
VOUCHERIFY_URL = "https://api.voucherify.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a look at file and environment found: a config, or problems, or both."""

    config: Config | None
    problems: tuple[Problem, ...]
    #: (`routes.0`, template name) of each route that names one, even beside problems.
    templates: tuple[tuple[str, str], ...]
    folder: Path


def load(path: Path, env: Mapping[str, str], *roles: Role) -> Config:
    """Read the configuration.

    Args:
        path: The YAML file; relative paths in it are relative to its folder.
        env: The environment.
        roles: What the program is about to do; each asks for its secrets.

    Raises:
        ConfigError: With every problem found.
    """
    examined = examine(path, env, *roles)
    if examined.config is None or examined.problems:
        raise ConfigError(examined.problems)
    return examined.config


def examine(path: Path, env: Mapping[str, str], *roles: Role) -> Examined:
    """Look at file and environment and list all that is wrong with them."""
    try:
        raw = read(path)
    except ConfigError as error:
        return Examined(
            config=None, problems=error.problems, templates=(), folder=path.parent
        )
    data, problems = _checked(path, raw)
    folder = path.parent / str(data.get("templates", "templates"))
    templates = tuple(_templates(data.get("routes")))
    for where, name in templates:
        problems += _template_problems(where, folder, name)
    settings = Environment(env, data.get("environment", {}))
    problems += settings.problems(roles, has_data_center=_names_data_center(data))
    config = None
    if not problems:
        config = _build(path, folder, data, settings)
    return Examined(
        config=config, problems=tuple(problems), templates=templates, folder=folder
    )


def _templates(routes: Any) -> Iterator[tuple[str, str]]:
    for index, route in enumerate(routes if isinstance(routes, list) else []):
        if isinstance(route, dict) and isinstance(route.get("template"), str):
            yield f"routes.{index}", route["template"]


def _template_problems(where: str, folder: Path, name: str) -> list[Problem]:
    parts = Path(name)
    if parts.is_absolute() or ".." in parts.parts:
        fault = f"must be the name of a file below {folder}: {name}"
    elif not (folder / name).is_file():
        fault = f"no such file below {folder}: {name}"
    else:
        return []
    return [Problem(f"{where}.template", fault)]


def _checked(
    path: Path, raw: dict[str, Any]
) -> tuple[Mapping[str, Any], list[Problem]]:
    """Give the data with its defaults, or as it came where there are problems."""
    try:
        data: dict[str, Any] = FileSchema().load(raw)
    except ValidationError as error:
        found = _flat(error.messages, raw)
        return raw, [Problem(where, what) for where, what in found]
    return data, _spanning(path, data)


def _flat(messages: Any, data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Walk marshmallow's tree of errors as (`routes.0.template`, message).

    In the order of the file; what is missing in it comes last.
    """
    if isinstance(messages, dict):
        # Their own order is a set's: another one at each start.
        items = _items(data)
        places = {key: place for place, key in enumerate(items)}
        for key in sorted(messages, key=lambda key: places.get(key, len(places))):
            below = path if key == "_schema" else f"{path}.{key}".lstrip(".")
            yield from _flat(messages[key], items.get(key), below)
    elif isinstance(messages, list):
        for message in messages:
            yield from _flat(message, None, path)
    else:
        yield path or "file", str(messages).rstrip(".")


def _items(data: Any) -> Mapping[Any, Any]:
    if isinstance(data, list):
        return dict(enumerate(data))
    return data if isinstance(data, Mapping) else {}


def _spanning(path: Path, data: Mapping[str, Any]) -> list[Problem]:
    """Check what spans fields: names used once, campaigns named, look-ups readable."""
    problems = []
    routes = data["routes"]
    names = Counter(name for one in routes for name in (one["name"], *one["formerly"]))
    for index, route in enumerate(routes):
        problems += [
            Problem(f"routes.{index}.name", f"{name} is used more than once")
            for name in dict.fromkeys((route["name"], *route["formerly"]))
            if names[name] > 1
        ]
        if route["campaign_id"] is None and route["when"]["raw"] is not True:
            problems.append(
                Problem(
                    f"routes.{index}.campaign_id",
                    "is needed (only `raw: true` routes find it in the body)",
                )
            )
        for rule in route["recipient"] or ():
            if isinstance(rule, dict):
                problems += _lookup_problems(index, path.parent / rule["lookup"])
    return problems


def _lookup_problems(index: int, path: Path) -> list[Problem]:
    try:
        read_lookup(path)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return [Problem(f"routes.{index}.recipient", f"lookup {path.name}: {reason}")]
    return []


def _names_data_center(data: Mapping[str, Any]) -> bool:
    section = data.get("iterable")
    return isinstance(section, Mapping) and section.get("data_center") is not None


def _build(
    path: Path, folder: Path, data: Mapping[str, Any], settings: Environment
) -> Config:
    iterable = data["iterable"]
    base_url = settings.get("ITERABLE_BASE_URL") or DATA_CENTERS.get(
        iterable["data_center"] or "", ""
    )
    return Config(
        path=path,
        iterable=Iterable(
            base_url=base_url.rstrip("/"),
            api_key=settings.get("ITERABLE_API_KEY"),
            rate_per_second=iterable["rate_per_second"],
            timeout=timedelta(seconds=iterable["timeout_seconds"]),
            verify=Verify(**iterable["verify"]),
        ),
        voucherify=Voucherify(
            base_url=settings.get("VOUCHERIFY_BASE_URL", VOUCHERIFY_URL).rstrip("/"),
            app_id=settings.get("VOUCHERIFY_APP_ID"),
            app_token=settings.get("VOUCHERIFY_APP_TOKEN"),
        ),
        retry=Retry(**data["retry"]),
        receive=Receive(**data["receive"]),
        retention=Retention(**data["retention"]),
        routes=tuple(_route(path.parent, one) for one in data["routes"]),
        templates=folder,
        database_url=settings.get("DATABASE_URL", "sqlite:///bridge.db"),
        secrets=Secrets(
            voucherify=settings.several("VOUCHERIFY_WEBHOOK_SECRET"),
            inbound=settings.several("BRIDGE_INBOUND_TOKEN"),
            iterable=settings.several("ITERABLE_WEBHOOK_SECRET"),
            console=settings.get("BRIDGE_CONSOLE_PASSWORD"),
        ),
        port=int(settings.get("PORT", "8000")),
        # Heroku's router is the one that adds the last address.
        proxies=int(settings.is_dyno),
        processes=int(settings.get("WEB_CONCURRENCY", "2")),
        log=Log(
            level=settings.get("LOG_LEVEL", "INFO").upper(),
            format="text" if settings.get("LOG_FORMAT").lower() == "text" else "json",
        ),
        alerts=Alerts(url=settings.get("ALERT_WEBHOOK_URL"), **data["alerts"]),
        metrics=Metrics(
            token=settings.get("BRIDGE_METRICS_TOKEN"),
            # A web dyno of Heroku's is always in the public's reach.
            is_open=not settings.get("DYNO"),
        ),
    )


def _route(folder: Path, data: Mapping[str, Any]) -> Route:
    when = data["when"]
    rules = data["recipient"]
    if rules is None:
        rules = ["source_id", "email"] if when["raw"] else ["source_id"]
    return Route(
        name=data["name"],
        formerly=tuple(data["formerly"]),
        when=Condition(
            raw=when["raw"],
            events=tuple(when["events"]),
            campaigns=tuple(when["campaigns"]),
            vouchers=tuple(when["vouchers"]),
        ),
        recipient=tuple(
            read_lookup(folder / rule["lookup"]) if isinstance(rule, dict) else rule
            for rule in rules
        ),
        per=data["per"],
        endpoint=data["endpoint"],
        campaign_id=data["campaign_id"],
        template=data["template"],
        in_doubt=data["in_doubt"],
        not_within=data["not_within"] or timedelta(0),
        per_customer=Limit(**data["per_customer"]) if data["per_customer"] else None,
    )
