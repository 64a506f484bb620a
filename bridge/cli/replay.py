"""Command `replay`: captured or stored webhooks through an intake again.

That of the configured ledger, or with `--to` that of a running bridge.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import click

from bridge import bootstrap
from bridge.bootstrap import Bridge
from bridge.cli.app import command, fail
from bridge.cli.opening import load_config, opened, print_destinations, read_captures
from bridge.cli.options import since_option, yes_option
from bridge.cli.output import SENT_BY, confirm, info, print_table, reach
from bridge.config import url_fault
from bridge.errors import CaptureError, SignatureError
from bridge.http import HttpClient, Reply
from bridge.integrations import Source
from bridge.model import Capture, EventStatus, IngestResult
from bridge.operations import replay as operations
from bridge.operations.replay import (
    PlannedReplay,
    ReplayItem,
    ReplayOutcome,
    ReplayPlanner,
    summarize,
)
from bridge.text import pluralize

#: Most different reasons shown with a plan.
_REASONS = 10
#: Webhooks posted at the same time.
_CONCURRENCY = 4
#: The whole call; a bridge answers within five seconds.
_TIMEOUT = timedelta(seconds=10)
#: How often a webhook that could not be stored is posted, and the longest wait between
#: two tries in seconds.
_TRIES, _MAX_WAIT = 10, 60.0
_UNAUTHORIZED, _UNAVAILABLE = 401, 503


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions:
    """The command line."""

    files: tuple[str, ...]
    is_dry: bool
    is_sure: bool
    #: Of a running bridge that gets the webhooks instead of the configured ledger.
    url: str | None
    is_reprocess: bool
    is_parked: bool
    is_ignored: bool
    since: datetime | None

    def __post_init__(self) -> None:
        if self.is_reprocess and (self.files or self.url):
            raise click.UsageError("--reprocess takes no FILE and no --to")
        if not self.is_reprocess and not self.files:
            raise click.UsageError("name a FILE, a folder, or - (or add --reprocess)")
        if not self.is_reprocess and (self.is_parked or self.is_ignored or self.since):
            raise click.UsageError("--parked, --ignored and --since need --reprocess")
        fault = None if self.url is None else url_fault(self.url)
        if fault is not None:
            hint = "give an address such as http://127.0.0.1:8000"
            raise click.UsageError(f"--to {fault}; {hint}")

    @property
    def statuses(self) -> tuple[EventStatus, ...]:
        """Which stored events are decided again: both kinds unless one is named."""
        both = (EventStatus.PARKED, EventStatus.IGNORED)
        if self.is_parked is self.is_ignored:
            return both
        return both[:1] if self.is_parked else both[1:]


class Posted(NamedTuple):
    """The answer of a running bridge to one webhook."""

    #: HTTP status.
    status: int
    #: `stored`, `duplicate`, `parked` or `ignored`; None where it was not accepted.
    outcome: str | None
    event_id: str | None
    where: str


@command(
    "replay",
    example="reward-bridge replay --dry-run captures/\n"
    "reward-bridge replay --reprocess --ignored --since 7d --yes\n"
    "reward-bridge replay --to http://127.0.0.1:8000 samples/voucherify",
)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("is_dry", "--dry-run", is_flag=True, help="Show the plan, do nothing.")
@yes_option
@click.option("url", "--to", metavar="URL", help="Post them, signed, to this bridge.")
@click.option(
    "is_reprocess", "--reprocess", is_flag=True, help="Decide stored events again."
)
@click.option("is_parked", "--parked", is_flag=True, help="With it: only parked ones.")
@click.option(
    "is_ignored", "--ignored", is_flag=True, help="With it: only ignored ones."
)
@since_option
def replay(**typed: Any) -> None:
    """Feed captured webhooks through the intake, as if they arrived now.

    A FILE is a body, a capture, another tool's recording (HAR, Postman, webhook.site),
    JSON Lines, a folder of such files, or - for standard input. The ledger recognises
    what it has already: that is not sent again. Shows the plan first; add --yes to
    apply it, unless every destination is a sandbox.
    """
    options = ReplayOptions(**typed)
    unreadable: list[CaptureError] = []
    if options.url is not None:
        _post(options, options.url, unreadable)
    else:
        _replay(options, unreadable)
    if unreadable:
        count = pluralize(len(unreadable), "webhook", "webhooks")
        raise fail(f"{count} could not be read, see above")


def feed(
    bridge: Bridge,
    items: Sequence[ReplayItem],
    show: Callable[[Sequence[tuple[ReplayItem, IngestResult]]], None],
) -> None:
    """Store webhooks one after another, as if they arrived now.

    Args:
        bridge: Its intake.
        items: The webhooks, in order.
        show: Gets all that were stored, in the end and after an error.

    Raises:
        StoreUnavailable: One was not stored, nor were those after it.
    """
    done: list[tuple[ReplayItem, IngestResult]] = []
    try:
        done.extend(
            (item, operations.replay(bridge, item, actor="cli")) for item in items
        )
    finally:
        show(done)


def print_stored(done: Sequence[tuple[ReplayItem, IngestResult]]) -> None:
    """Print what the ledger made of webhooks."""
    rows = [
        (one.status, _made(one), one.event_id, item.where, one.reason)
        for item, one in done
    ]
    print_table(("STATUS", "MESSAGES", "EVENT", "FILE", "REASON"), rows)
    _count(one.status for _, one in done)
    messages = sum(_made(one) for _, one in done)
    if messages:
        info(f"{pluralize(messages, 'message', 'messages')} queued; {SENT_BY}")


def _replay(options: ReplayOptions, unreadable: list[CaptureError]) -> None:
    # Every file is read before the first is stored: an unreadable one is known in time.
    items = _read(options.files, unreadable)
    with opened(must_exist=options.is_reprocess) as bridge:
        if options.is_reprocess:
            found = operations.stored_items(bridge, options.statuses, options.since)
            items = list(found)
        planner = ReplayPlanner(bridge, knows_ledger=bridge.store.exists())
        plan = list(planner.plan(items))
        is_sandbox = print_destinations(bridge)
        _print_plan(plan, unreadable, is_sandbox=is_sandbox, is_whole=options.is_dry)
        if not options.is_dry:
            messages = summarize(plan).messages
            confirm(messages, is_sandbox=is_sandbox, is_sure=options.is_sure)
            if not bridge.store.exists():
                bridge.store.migrate()
            feed(bridge, items, print_stored)


def _read(files: Sequence[str], unreadable: list[CaptureError]) -> list[ReplayItem]:
    return [
        ReplayItem(where=found.where, capture=found.capture)
        for found in read_captures(files, unreadable.append)
    ]


def _post(options: ReplayOptions, url: str, unreadable: list[CaptureError]) -> None:
    bridge = bootstrap.build(load_config())
    items = _read(options.files, unreadable)
    info(f"bridge      {url}")
    info("Its ledger and routes decide; this plan is by yours, with an empty ledger:")
    plan = list(ReplayPlanner(bridge, knows_ledger=False).plan(items))
    _print_plan(plan, unreadable, is_sandbox=False, is_whole=options.is_dry)
    if options.is_dry:
        return
    # Where that bridge sends to is not known here.
    confirm(len(items), is_sandbox=False, is_sure=options.is_sure)
    answers: list[Posted] = []
    try:
        answers.extend(_answers(url, bridge.sources, items))
    finally:
        print_table(("HTTP", "STATUS", "EVENT", "FILE"), answers)
        _count(one.outcome or "not accepted" for one in answers)
    if not all(one.outcome for one in answers):
        raise fail("some were not accepted")


def _answers(
    url: str, sources: Mapping[str, Source], items: Sequence[ReplayItem]
) -> Iterator[Posted]:
    """Post webhooks, signed as their source signs them; yield the answers in order.

    After an error no further one is posted; posting again is safe, because the bridge
    recognises what it has.
    """
    http = HttpClient(pool=_CONCURRENCY)

    def post(item: ReplayItem) -> Posted:
        source = sources[item.capture.source]
        for _ in range(_TRIES):
            reply = http.call(
                "POST",
                _endpoint_url(url, item.capture),
                headers={
                    "Content-Type": "application/json",
                    **source.sign(item.capture.body, bootstrap.now()),
                },
                body=item.capture.body,
                timeout=_TIMEOUT,
            )
            if reply.status != _UNAVAILABLE:
                break
            after = reply.headers.get("retry-after", "")
            time.sleep(min(float(after), _MAX_WAIT) if after.isdecimal() else 1.0)
        return _posted(item, reply)

    with ThreadPoolExecutor(_CONCURRENCY) as pool:
        try:
            yield from pool.map(post, items)
        finally:
            pool.shutdown(cancel_futures=True)
            http.close()


def _endpoint_url(url: str, capture: Capture) -> str:
    """Find the endpoint for a webhook; a URL with a path of its own is one already."""
    parts = urlsplit(url)
    if parts.path.strip("/"):
        return url
    path = f"/webhooks/{capture.source}"
    if capture.endpoint is not None:
        path = f"/api/{capture.endpoint}"
    return urlunsplit(parts._replace(path=path))


def _posted(item: ReplayItem, reply: Reply) -> Posted:
    if reply.status == _UNAUTHORIZED:
        raise SignatureError(
            "401: the bridge does not accept the signature; its secret is another one"
        )
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    event_id = reply.headers.get("x-event-id")
    outcome: str | None = "stored" if event_id else None
    if isinstance(document, dict) and "event_id" in document:
        event_id, outcome = str(document["event_id"]), str(document.get("status"))
    return Posted(reply.status, outcome, event_id, item.where)


def _print_plan(
    plan: Sequence[PlannedReplay],
    unreadable: Sequence[CaptureError],
    *,
    is_sandbox: bool,
    is_whole: bool,
) -> None:
    """Say what would become of webhooks; print each of them for `--dry-run`."""
    total = summarize(plan)
    people = reach(total, is_sandbox=is_sandbox) if total.messages else ""
    for outcome in ReplayOutcome:
        note = people if outcome is ReplayOutcome.NEW else ""
        info(f"{total.outcomes.get(outcome, 0):8} {outcome:13} {note}".rstrip())
    if unreadable:
        info(f"{len(unreadable):8} unreadable")
    for error in unreadable:
        info(f"  {error.reason}")
    if is_whole:
        rows = [
            (one.outcome, len(one.deliveries), one.item.where, one.reason)
            for one in plan
        ]
        print_table(("OUTCOME", "MESSAGES", "FILE", "REASON"), rows)
        return
    parked = Counter(one.reason for one in plan if one.outcome is ReplayOutcome.PARKED)
    for reason, count in parked.most_common(_REASONS):
        info(f"  {count} parked: {reason}")


def _made(result: IngestResult) -> int:
    # The deliveries of a duplicate are those that were made before.
    return len(result.deliveries) if result.status is EventStatus.STORED else 0


def _count(words: Iterable[str]) -> None:
    figures = Counter(words)
    if figures:
        info(", ".join(f"{count} {word}" for word, count in figures.items()))
