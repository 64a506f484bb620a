"""File and environment, checked as a whole, and made into a `Config`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.config.environment import VARIABLES, Environment
from bridge.config.file import Problems, nearest, read
from bridge.config.routes import RouteReader
from bridge.config.schema import RENAMED, FileSchema
from bridge.config.sections import FindVendor, SectionReader
from bridge.config.settings import Config, Log, Metrics, Role
from bridge.config.urls import absolute_database_url, url_fault
from bridge.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What was found in file and environment: a config, or problems."""

    #: None where there are problems.
    config: Config | None
    problems: tuple[Problem, ...]
    #: (`routes.0.template`, template name) of each route that names a template file
    #: that is there, even beside problems.
    templates: tuple[tuple[str, str], ...] = ()
    #: Folder of the templates.
    folder: Path
    #: Kinds of the sources, broken ones included.
    source_kinds: tuple[str, ...] = ()


def load(
    path: Path, env: Mapping[str, str], *roles: Role, find_integration: FindVendor
) -> Config:
    """Read the configuration.

    Args:
        path: The YAML file; relative paths in it are relative to its folder.
        env: The environment.
        roles: What the process is about to do; each needs its own secrets.
        find_integration: Finds a vendor by its kind.

    Raises:
        ConfigError: With every problem found.
    """
    examined = examine(path, env, *roles, find_integration=find_integration)
    if examined.config is None:
        raise ConfigError(examined.problems)
    return examined.config


def examine(
    path: Path, env: Mapping[str, str], *roles: Role, find_integration: FindVendor
) -> Examined:
    """Look at file and environment and list all that is wrong with them.

    Every part is read even where another has problems.
    """
    try:
        file = read(path)
    except ConfigError as error:
        return Examined(config=None, problems=error.problems, folder=path.parent)
    problems = Problems(file)
    raw = _current(file.data, problems)
    shape = problems.load(FileSchema(), raw, ())
    renamed = raw.get("environment")
    environment = Environment(env, renamed if isinstance(renamed, dict) else {})
    sections = SectionReader(
        find=find_integration, environment=environment, problems=problems, roles=roles
    )
    sources = sections.sources(raw.get("sources"))
    destinations = sections.destinations(raw.get("destinations"))
    _check_renamed(problems, renamed, sections)
    folder = path.parent / str(raw.get("templates", "templates"))
    reader = RouteReader(problems=problems, sections=sections, path=path, folder=folder)
    routes = reader.read(raw.get("routes"))
    general = _general(environment, path)
    alert_url = environment.text("ALERT_WEBHOOK_URL", url_fault).strip()
    config = None
    if shape is not None and not problems and not environment.problems:
        config = Config(
            sources=sources,
            destinations=destinations,
            routes=routes,
            retry=shape["retry"],
            retention=shape["retention"],
            alerts=replace(shape["alerts"], url=alert_url),
            max_body_bytes=shape["receive"]["max_body_bytes"],
            templates=folder,
            **general,
        )
    return Examined(
        config=config,
        problems=(*problems.all(), *environment.problems),
        templates=tuple(reader.templates),
        folder=folder,
        source_kinds=tuple(sections.source_kinds),
    )


def _current(data: Mapping[Any, Any], problems: Problems) -> dict[str, Any]:
    """Report settings of the past; an empty section means its defaults."""
    raw = {str(key): one for key, one in data.items() if one is not None}
    raw = {**problems.take_renamed(raw, RENAMED["file"], ())}
    for name in ("retry", "retention", "alerts"):
        if name in raw:
            raw[name] = problems.take_renamed(raw[name], RENAMED[name], (name,))
    return raw


def _check_renamed(problems: Problems, renamed: Any, sections: SectionReader) -> None:
    known = [*VARIABLES, *sections.variables]
    for name in renamed if isinstance(renamed, dict) else ():
        if name not in known:
            hint = nearest(str(name), known)
            problems.add(("environment", name), f"is no variable of the bridge{hint}")


def _general(environment: Environment, path: Path) -> dict[str, Any]:
    """Read the settings that only the environment has."""
    is_dyno = environment.is_dyno

    def only(variable: str) -> str:
        return next(iter(environment.secret(variable)), "")

    level = environment.choice("LOG_LEVEL", "INFO", "DEBUG", "WARNING", "ERROR")
    log_format: Any = environment.choice("LOG_FORMAT", "json", "text")
    return {
        "path": path,
        "database_url": absolute_database_url(environment.database_url(), path.parent),
        "console_password": only("BRIDGE_CONSOLE_PASSWORD"),
        "inbound_tokens": environment.secret("BRIDGE_INBOUND_TOKEN", is_list=True),
        "port": environment.number("PORT", 8000, 0, 65535),
        # Heroku's router is the one that adds the last address.
        "proxies": int(is_dyno),
        "processes": environment.number("WEB_CONCURRENCY", 2, 1, 64),
        "log": Log(level=level, format=log_format),
        # A web dyno is always within the public's reach.
        "metrics": Metrics(token=only("BRIDGE_METRICS_TOKEN"), is_open=not is_dyno),
    }
