"""Commands that move deliveries and gates by hand."""

from typing import Any

import click

from bridge.bootstrap import Bridge
from bridge.cli.arguments import delivery_filters, stored_id, yes_option
from bridge.cli.frame import Command, refuse
from bridge.cli.opening import opened
from bridge.cli.plans import SENT_BY, permit, show_place
from bridge.cli.printing import counted, talk
from bridge.cli.routes import demand_route
from bridge.cli.stories import delivery_table
from bridge.dispatch import BLANKED
from bridge.errors import TransitionError
from bridge.model import Cause, sources
from bridge.steering import gates
from bridge.steering.choosing import Choice, by_filters, by_ids
from bridge.store import By

#: Deliveries put back in one transaction, so that receivers get their turn between.
_BATCH = 200


@click.command(
    cls=Command,
    example="reward-bridge redeliver 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --yes\n"
    "reward-bridge redeliver --status dead --route rewards --since 24h --yes",
)
@click.argument("ids", nargs=-1, type=stored_id, metavar="[ID]...")
@delivery_filters
@click.option(
    "is_forced",
    "--force",
    is_flag=True,
    help="Also what Iterable has accepted, what waits, and what is in doubt.",
)
@yes_option
def redeliver(
    ids: tuple[str, ...], *, is_forced: bool, is_sure: bool, **filters: Any
) -> None:
    """Put deliveries back in the queue: the same rows, their count begun anew."""
    is_filtered = any(value is not None for value in filters.values())
    if bool(ids) is is_filtered:
        raise click.UsageError("name deliveries by ID or by filters, one of the two")
    with opened() as bridge:
        ledger = bridge.store.ledger
        if not ids and filters["route"] is not None:
            demand_route(bridge, filters["route"])
        choice = (
            by_ids(ledger, ids, force=is_forced)
            if ids
            else by_filters(ledger, filters, force=is_forced)
        )
        show_place(bridge.config)
        _show(choice, is_forced=is_forced)
        # However near Iterable is: these have been tried before.
        permit(len(choice.chosen), is_local=False, is_sure=is_sure)
        done = _put_back(bridge, choice, is_forced=is_forced)
    if done:
        click.echo("\n".join(done))
        talk(f"{len(done)} put back; {SENT_BY}")
    if len(done) < len(set(ids)):
        raise refuse("not all could be put back")


@click.command(
    cls=Command,
    example="reward-bridge resolve 01998a3e-62f1-7a10-b3ad-0d2f6a7c1e55 --sent "
    '--reason "seen in her inbox"',
)
@click.argument("delivery_id", type=stored_id, metavar="ID")
@click.option(
    "is_sent", "--sent", is_flag=True, help="It reached the customer: it is accepted."
)
@click.option(
    "is_dropped", "--drop", is_flag=True, help="It shall not be sent any more."
)
@click.option("--reason", required=True, metavar="TEXT", help="Kept with it.")
def resolve(delivery_id: str, reason: str, *, is_sent: bool, is_dropped: bool) -> None:
    """Close a held or dead delivery by hand."""
    if is_sent is is_dropped:
        raise click.UsageError("say --sent or --drop, one of the two")
    if not reason.strip():
        raise click.UsageError("--reason is empty; say in words why")
    cause = Cause.RESOLVED_SENT if is_sent else Cause.RESOLVED_DROPPED
    with opened() as bridge:
        ledger = bridge.store.ledger
        try:
            with bridge.store.write() as tx:
                ledger.resolve(tx, delivery_id, cause, reason, by=By.SHELL)
        except TransitionError:
            story = ledger.story(delivery_id)
            if story is None:
                raise
            can = " or ".join(sorted(sources(cause)))
            status = story.delivery.status
            raise refuse(f"it is {status}; only {can} ones can be resolved") from None
    talk(f"{delivery_id} is {'accepted' if is_sent else 'dropped'}")


@click.command(
    cls=Command, example='reward-bridge pause rewards --reason "campaign under repair"'
)
@click.argument("route", metavar="ROUTE")
@click.option(
    "--reason",
    default="paused by hand",
    show_default=True,
    metavar="TEXT",
    help="Shown with the gate.",
)
def pause(route: str, reason: str) -> None:
    """Close the gate of a route; its messages wait and do not age.

    The name `destination` stands for the gate of all routes together.
    """
    with opened() as bridge:
        gates.pause(bridge, _gate(bridge, route), reason, by=By.SHELL)
    talk(f"{route} is paused until `reward-bridge resume {route}`")


@click.command(cls=Command, example="reward-bridge resume rewards")
@click.argument("route", metavar="ROUTE")
def resume(route: str) -> None:
    """Open the gate of a route, whoever or whatever closed it.

    The name `destination` stands for the gate of all routes together.
    """
    with opened() as bridge:
        was_shut = gates.resume(bridge, _gate(bridge, route), by=By.SHELL)
    talk(f"{route} is open" if was_shut else f"{route} was open already")


def _show(choice: Choice, *, is_forced: bool) -> None:
    """Show the plan."""
    for one in choice.unknown:
        talk(f"there is no delivery {one}")
    for line in delivery_table(choice.chosen) if choice.chosen else ():
        talk(line)
    people = counted(choice.people, "person", "people")
    talk(f"{len(choice.chosen)} would be put back, for {people}")
    advice = "a worker has it" if is_forced else "only --force puts those back"
    for status, count in choice.refused_by_status.items():
        talk(f"{count} {status} would not: {advice}")
    if choice.blanked:
        talk(f"{choice.blanked} would not: {BLANKED}")


def _put_back(bridge: Bridge, choice: Choice, *, is_forced: bool) -> list[str]:
    ids = [one.id for one in choice.chosen]
    done: list[str] = []
    for start in range(0, len(ids), _BATCH):
        with bridge.store.write() as tx:
            batch = ids[start : start + _BATCH]
            done += bridge.store.ledger.redeliver(
                tx, batch, by=By.SHELL, force=is_forced
            )
    return done


def _gate(bridge: Bridge, route: str) -> str:
    """Name the gate of a route that is configured under this or a later name."""
    found = gates.gate_named(bridge, route)
    if found is None:
        names = ", ".join(one.name for one in bridge.config.routes)
        raise click.UsageError(f"there is no route {route} (there are {names})")
    return found
