"""The command `reward-bridge` with all its commands."""

import click

from bridge.cli.frame import Commands
from bridge.cli.ledger import deliveries, events
from bridge.cli.mending import pause, redeliver, resolve, resume
from bridge.cli.privacy import anonymise, forget
from bridge.cli.reconciling import reconcile
from bridge.cli.rehearsing import check, render
from bridge.cli.replaying import replay
from bridge.cli.running import migrate, serve, worker
from bridge.cli.showing import demo, sandbox


@click.group(cls=Commands)
@click.version_option(package_name="reward-bridge")
def main() -> None:
    """Turn Voucherify reward webhooks into one Iterable message each.

    Data goes to stdout, talk to stderr. The exit code is 0 when the work is done, 1
    when it was refused or failed, 2 for usage or configuration.
    """


for command in (serve, worker, migrate, check, render, replay, deliveries, events):
    main.add_command(command)
for command in (
    reconcile,
    redeliver,
    resolve,
    forget,
    anonymise,
    pause,
    resume,
    sandbox,
    demo,
):
    main.add_command(command)
