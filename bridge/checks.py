"""Everything that must be right before a start, all problems at once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from fnmatch import fnmatchcase
from os import W_OK, access
from pathlib import Path

from bridge import bootstrap, identity, rendering, resources, voucherify
from bridge.capture import read
from bridge.config import Config, Role, Route, examine
from bridge.errors import (
    ConfigError,
    Problem,
    RecipientError,
    RenderError,
    StoreUnavailable,
)
from bridge.model import Json, Parsed, Reward
from bridge.rendering import Templates
from bridge.store.opening import file_of

#: Reasons of `Client.check_campaign`, in words that say what to do.
ADVICE = {
    "campaign_not_found": "no such campaign in this Iterable project",
    "campaign_not_running": "the campaign is not running: activate it",
    "campaign_not_triggered": "the campaign is not of type Triggered",
    "campaign_wrong_medium": "the campaign's medium is not that of the endpoint",
    "key_refused": "Iterable refuses the key (kind, project or data centre)",
    "unreachable": "Iterable cannot be reached",
}

Sample = tuple[Parsed, Reward]


def check(
    path: Path,
    env: Mapping[str, str],
    *roles: Role,
    asks_ledger: bool = True,
    online: bool = False,
) -> list[Problem]:
    """List every problem of file, environment, templates and waiting rows.

    Args:
        path: The configuration file.
        env: The environment.
        roles: What the program is about to do.
        asks_ledger: Look for waiting deliveries whose route is gone.
        online: Ask Iterable too, with the configured key.
    """
    examined = examine(path, env, *roles)
    problems = list(examined.problems)
    broken = set()
    for where, name in examined.templates:
        if (examined.folder / name).is_file():
            found = rendering.lint(examined.folder, name)
            broken |= {name for _ in found}
            problems += [Problem(f"{where}.template", str(one)) for one in found]
    config = examined.config
    if config is None:
        return problems
    problems += _unrenderable(config, broken)
    ledger = _unusable(config)
    problems += ledger
    if asks_ledger and not ledger:
        problems += _orphans(config)
    if online:
        problems += online_problems(config)
    return problems


def _unrenderable(config: Config, broken: set[str]) -> Iterator[Problem]:
    """Render each sound template with the samples that its route could meet."""
    samples = list(_samples())
    for index, route in enumerate(config.routes):
        if route.template in broken:
            continue
        try:
            templates = Templates(config.templates, [route.template])
        except ConfigError as error:
            yield from (
                Problem(f"routes.{index}.template", str(one)) for one in error.problems
            )
            continue
        failures = [
            _failure(templates, route, *sample) for sample in _fit(route, samples)
        ]
        # One sample that lacks an optional value is no fault; all of them are.
        if failures and all(failures):
            yield Problem(f"routes.{index}.template", str(failures[0]))


def _fit(route: Route, samples: Sequence[Sample]) -> list[Sample]:
    """Choose the samples that a route could meet, or else could be shown at all."""
    alike = [one for one in samples if _is_raw(one) is bool(route.when.raw)]
    return [one for one in alike if _could_meet(route, *one)] or alike


def _samples() -> Iterator[Sample]:
    for capture in read(resources.samples() / "voucherify"):
        parsed = voucherify.parse(capture)
        _open_metadata(parsed.document)
        for reward in parsed.rewards:
            yield parsed, reward


class _Anything(dict[str, Json]):
    """Metadata of a sample: what is in an account's own, nobody can know here."""

    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> str:
        return f"sample of {key}"


def _open_metadata(document: Json) -> None:
    """Let every `metadata` in a document have whatever a template asks of it."""
    if isinstance(document, list):
        for item in document:
            _open_metadata(item)
    elif isinstance(document, dict):
        for key, value in document.items():
            if key == "metadata" and isinstance(value, dict):
                document[key] = _Anything(value)
            _open_metadata(value)


def _is_raw(sample: Sample) -> bool:
    return sample[1].raw is not None


def _could_meet(route: Route, parsed: Parsed, reward: Reward) -> bool:
    """Tell whether a sample is of the route's kind; campaigns may be anybody's."""
    types = {voucher.get("type") for voucher in reward.vouchers} or {"NONE"}
    is_type = not route.when.vouchers or bool(types & set(route.when.vouchers))
    events = route.when.events
    kind = parsed.event_type or ""
    return is_type and (not events or any(fnmatchcase(kind, one) for one in events))


def _failure(
    templates: Templates, route: Route, parsed: Parsed, reward: Reward
) -> RenderError | None:
    whole = voucherify.whole_publication([reward]) if reward.publication_id else reward
    try:
        templates.render(
            route,
            endpoint=route.endpoint,
            parsed=parsed,
            reward=whole if route.per == "publication" else reward,
            recipient=identity.recipient(reward, ("source_id", "email")),
            delivery_id="00000000-0000-7000-8000-000000000000",
        )
    except RenderError as error:
        return error
    except RecipientError:
        return None
    return None


def _unusable(config: Config) -> Sequence[Problem]:
    """Find out whether the ledger could be written, without making its file."""
    try:
        path = file_of(config.database_url)
        if path is None:
            # A server that is away comes back: no reason not to start.
            return []
        # The longest name beside it; asking for one that is too long is an error.
        path.with_name(f"{path.name}.lock").lstat()
    except ConfigError as error:
        return error.problems
    except (FileNotFoundError, NotADirectoryError):
        pass
    except ValueError:
        return [Problem("DATABASE_URL", "its path cannot be one")]
    except OSError as error:
        return [Problem("DATABASE_URL", f"cannot be used: {error.strerror}")]
    fault = None if path is None else _file_fault(path)
    return [] if fault is None else [Problem("DATABASE_URL", fault)]


def _file_fault(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if path.exists() and not path.is_file():
        return f"{path} is no file"
    if not all(access(one, W_OK) for one in (path, path.parent) if one.exists()):
        return f"{path} cannot be written"
    return None


def _orphans(config: Config) -> list[Problem]:
    """Name waiting deliveries whose route the configuration no longer has."""
    try:
        with closing(bootstrap.build(config).store) as store:
            is_there = store.exists() and store.is_current()
            waiting = sorted(store.ledger.waiting_routes()) if is_there else []
    except StoreUnavailable as error:
        return [Problem("DATABASE_URL", error.reason)]
    except ConfigError as error:
        return list(error.problems)
    return [
        Problem(
            "routes",
            f"deliveries wait for {name}, which is no longer here "
            "(add it, or name it in a route's `formerly`)",
        )
        for name in waiting
        if config.route(name) is None
    ]


def online_problems(config: Config) -> Iterator[Problem]:
    """Ask Iterable for each route's campaign; a key that is refused shows there too."""
    client = bootstrap.client(config, threads=1)
    for index, route in enumerate(config.routes):
        if route.campaign_id is None:
            continue
        reason = client.check_campaign(route.campaign_id, route.endpoint)
        if reason is not None:
            yield Problem(f"routes.{index}.campaign_id", ADVICE[reason])
