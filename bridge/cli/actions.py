"""Operator actions: `redeliver`, `resolve`, `pause`, `resume`; each shows its plan."""

from collections.abc import Sequence
from typing import Any

import click

from bridge.bootstrap import Bridge
from bridge.cli.app import command, fail
from bridge.cli.ledger import deliveries_table, delivery_detail, require_route
from bridge.cli.opening import opened, print_destinations
from bridge.cli.options import delivery_filters, parse_id, yes_option
from bridge.cli.output import SENT_BY, confirm, info
from bridge.model import Action, DeliveryFilter, sources
from bridge.operations import bulk
from bridge.operations import pause as operations
from bridge.operations.bulk import BulkOutcome, BulkPlan
from bridge.store import actions, circuits
from bridge.text import pluralize

#: Deliveries changed in one transaction, so that receivers get their turn between.
_BATCH = 200


@command(
    "redeliver",
    example="reward-bridge redeliver 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --yes\n"
    "reward-bridge redeliver --status dead --route rewards --since 24h --yes",
)
@click.argument("ids", nargs=-1, type=parse_id, metavar="[ID]...")
@delivery_filters
@click.option(
    "is_forced",
    "--force",
    is_flag=True,
    help="Also accepted, pending and in-doubt deliveries.",
)
@yes_option
def redeliver(
    ids: tuple[str, ...], *, is_forced: bool, is_sure: bool, **filters: Any
) -> None:
    """Queue deliveries again and reset their attempt counter.

    Shows the plan first; add --yes to apply it.
    """
    is_filtered = any(value is not None for value in filters.values())
    if bool(ids) is is_filtered:
        raise click.UsageError("name deliveries by ID or by filters, one of the two")
    with opened() as bridge:
        print_destinations(bridge)
        if filters["route"] is not None:
            require_route(bridge, filters["route"])
        chosen, plan = _chosen(bridge, ids, filters, force=is_forced)
        _print_plan(plan, len(chosen), is_forced=is_forced)
        # Even on a sandbox: these have been tried before.
        confirm(len(chosen), is_sandbox=False, is_sure=is_sure)
        done: list[str] = []
        for start in range(0, len(chosen), _BATCH):
            batch = chosen[start : start + _BATCH]
            with bridge.store.write() as tx:
                done += actions.redeliver(tx, batch, actor="cli", force=is_forced)
    if done:
        click.echo("\n".join(done))
        info(f"{len(done)} queued again; {SENT_BY}")
    if len(done) < len(set(ids)):
        raise fail("some could not be queued again")


@command(
    "resolve",
    example="reward-bridge resolve 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --sent "
    '--reason "seen in the inbox" --yes',
)
@click.argument("delivery_id", type=parse_id, metavar="ID")
@click.option("is_sent", "--sent", is_flag=True, help="Mark as sent: it is accepted.")
@click.option("is_dropped", "--drop", is_flag=True, help="Mark as not to be sent.")
@click.option("--reason", required=True, metavar="TEXT", help="Note for the audit log.")
@yes_option
def resolve(
    delivery_id: str, reason: str, *, is_sent: bool, is_dropped: bool, is_sure: bool
) -> None:
    """Close a held or dead delivery by hand.

    Shows the plan first; add --yes to apply it.
    """
    if is_sent is is_dropped:
        raise click.UsageError("add --sent or --drop, one of the two")
    if not reason.strip():
        raise click.UsageError("--reason is empty; say why in words")
    trigger = bulk.trigger_of(Action.RESOLVE_SENT if is_sent else Action.DROP)
    with opened() as bridge:
        row = delivery_detail(bridge, delivery_id).delivery
        if row.status not in sources(trigger):
            allowed = " or ".join(sorted(sources(trigger)))
            raise fail(f"it is {row.status}; only {allowed} ones can be resolved")
        after = "accepted" if is_sent else "dropped"
        info(f"{row.status} would become {after}: {delivery_id}")
        confirm(1, is_sandbox=False, is_sure=is_sure)
        with bridge.store.write() as tx:
            actions.resolve(tx, delivery_id, trigger, reason, actor="cli")
    info(f"{delivery_id} is {after}")


@command(
    "pause",
    example='reward-bridge pause rewards --reason "campaign under repair" --yes\n'
    "reward-bridge pause iterable --yes",
)
@click.argument("name", metavar="ROUTE|DESTINATION")
@click.option(
    "--reason",
    default="paused by an operator",
    show_default=True,
    metavar="TEXT",
    help="Shown wherever the route is shown.",
)
@yes_option
def pause(name: str, reason: str, *, is_sure: bool) -> None:
    """Pause a route or a destination. Its deliveries wait and do not expire.

    Shows the plan first; add --yes to apply it.
    """
    with opened() as bridge:
        circuit = _circuit(bridge, name)
        info(f"{name} would be paused until `reward-bridge resume {name}`")
        confirm(1, is_sandbox=False, is_sure=is_sure)
        operations.pause(bridge, circuit, reason, actor="cli")
    info(f"{name} is paused until `reward-bridge resume {name}`")


@command("resume", example="reward-bridge resume rewards --yes")
@click.argument("name", metavar="ROUTE|DESTINATION")
@yes_option
def resume(name: str, *, is_sure: bool) -> None:
    """Resume a route or a destination, whatever stopped it.

    Shows the plan first; add --yes to apply it.
    """
    with opened() as bridge:
        circuit = _circuit(bridge, name)
        with bridge.store.read() as tx:
            state = circuits.read_all(tx).get(circuit)
        if state is None or state.is_running:
            info(f"{name} is running already")
            return
        info(f"{name} is {state.state.label} ({state.reason}); it would run again")
        confirm(1, is_sandbox=False, is_sure=is_sure)
        operations.resume(bridge, circuit, actor="cli")
    info(f"{name} is running; a wrong key or campaign stops it again at the next send")


def _circuit(bridge: Bridge, name: str) -> str:
    found = operations.circuit_named(bridge.config, name)
    if found is None:
        known = [*(one.name for one in bridge.config.routes), *bridge.destinations]
        raise click.UsageError(
            f"there is no route or destination {name} (there are {', '.join(known)})"
        )
    return found


def _chosen(
    bridge: Bridge, ids: Sequence[str], filters: dict[str, Any], *, force: bool
) -> tuple[list[str], BulkPlan]:
    """Choose every delivery the command is about, and foresee the first of them."""
    now = bridge.store.now()
    with bridge.store.read() as tx:
        if ids:
            plan = bulk.plan_ids(tx, Action.REDELIVER, ids, now, force=force)
            return list(plan.ids), plan
        wanted = DeliveryFilter(**filters)
        plan = bulk.plan_filter(tx, Action.REDELIVER, wanted, now, force=force)
        if plan.is_whole:
            return list(plan.ids), plan
        allowed = sources(bulk.trigger_of(Action.REDELIVER, force=force))
        rows = bulk.every_delivery(tx, wanted)
        return [row.id for row in rows if row.status in allowed], plan


def _print_plan(plan: BulkPlan, count: int, *, is_forced: bool) -> None:
    for one in plan.unknown:
        info(f"there is no delivery {one}")
    for line in deliveries_table(plan.sample) if plan.sample else ():
        info(line)
    if count > len(plan.sample):
        info(f"… and {count - len(plan.sample):,} more")
    people = pluralize(plan.people, "person", "people")
    least = "" if plan.is_whole else "at least "
    info(f"{count:,} would be queued again, for {least}{people}")
    advice = "a worker is sending it" if is_forced else "only --force queues those"
    for status, number in plan.left_alone.items():
        info(f"{number} {status} would not: {advice}")
    for outcome, why in (
        (BulkOutcome.REDACTED, "would not: the webhook is no longer kept"),
        (BulkOutcome.EXPIRED, "of them will be given up: the voucher has expired"),
        (BulkOutcome.NO_RECIPIENT, "of them will be held: no recipient"),
    ):
        if plan.counts[outcome]:
            info(f"{plan.counts[outcome]} {why}")
