"""The command group: its commands, `--config`, and how errors end a command."""

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from bridge.errors import BridgeError, ConfigError

#: Exit codes of a command that did not do its work.
REFUSED, MISCONFIGURED = 1, 2
_CONFIG = "bridge.config"

#: Module below `bridge.cli` and the sentence of `--help`, by command. The sentence is
#: here so that the list of commands imports none of them; a test compares both.
COMMANDS: dict[str, tuple[str, str]] = {
    "serve": ("run", "Run the whole program: receive webhooks, deliver messages."),
    "worker": ("run", "Deliver messages only; any number of workers may run."),
    "dev": ("sandbox", "Run the program beside local sandboxes of the vendors."),
    "demo": ("sandbox", "Show the whole way on this machine, without any account."),
    "sandbox": ("sandbox", "Run local sandboxes of the vendors, without the program."),
    "migrate": ("run", "Create or upgrade the tables."),
    "check": ("check", "Check configuration, templates and waiting deliveries."),
    "render": ("check", "Show the payloads that captured webhooks would produce."),
    "replay": ("replay", "Feed captured webhooks through the intake again."),
    "deliveries": ("ledger", "List deliveries, or show the history of one."),
    "events": ("ledger", "List received webhooks, show one, or dismiss a parked one."),
    "receipts": ("ledger", "List delivery receipts."),
    "redeliver": ("actions", "Queue deliveries again and reset their attempts."),
    "resolve": ("actions", "Close a held or dead delivery by hand."),
    "pause": ("actions", "Pause a route or a destination."),
    "resume": ("actions", "Resume a route or a destination."),
    "reconcile": ("reconcile", "Compare Voucherify's publications with the ledger."),
    "forget": ("customers", "Erase a customer's data, including queued messages."),
    "anonymise": ("customers", "Print captures with pseudonyms for personal data."),
}
#: Modules whose commands only start and watch other processes, in plain threads.
_UNPATCHED = ("sandbox",)


class Command(click.Command):
    """A command that shows how it is used.

    Args:
        example: One or more lines as typed into a shell.
    """

    def __init__(self, *args: Any, example: str, **kwargs: Any) -> None:
        self.example = example
        super().__init__(*args, **kwargs)
        self.params.append(_config_option())

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example below the options."""
        with formatter.section("Example"):
            for line in self.example.splitlines():
                formatter.write(f"  {line}\n")
        super().format_epilog(ctx, formatter)


class Commands(click.Group):
    """Imports a command when it is used; turns errors into lines and exit codes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_config_option())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; gevent's patches come before everything it imports."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        name = COMMANDS[cmd_name][0]
        if name not in _UNPATCHED:
            import_module("bridge.server").patch()
        module = import_module(f"bridge.cli.{name}")
        command = getattr(module, cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is no command")
        return command

    def format_commands(
        self, ctx: click.Context, formatter: click.HelpFormatter
    ) -> None:
        """Write the table of commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; the one place where its errors end."""
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
            ctx.exit(MISCONFIGURED)
        except BridgeError as error:
            click.echo(f"{ctx.info_name}: {error}", err=True)
            ctx.exit(REFUSED)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; a full disk behind stdout is an error like any other.

        Click itself ends quietly where the reader of a pipe has gone.
        """
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            where = "" if error.filename is None else f"{error.filename}: "
            click.echo(f"Error: {where}{error.strerror or error}", err=True)
            with suppress(OSError):
                sys.stdout.close()  # what is left in it would fail once more
            sys.exit(REFUSED)


def command(name: str, *, example: str) -> Callable[..., Command]:
    """Declare a command of the table.

    Args:
        name: Its name in `COMMANDS`.
        example: One or more lines as typed into a shell.
    """
    return click.command(
        name, cls=Command, example=example, short_help=COMMANDS[name][1]
    )


def fail(reason: str) -> click.ClickException:
    """Make the error that ends a command with exit code 1 and one line."""
    return click.ClickException(reason)


def config_path(environ: Mapping[str, str]) -> Path:
    """Name the configuration file: `--config`, else BRIDGE_CONFIG, else config.yaml."""
    chosen = click.get_current_context().meta.get(_CONFIG)
    return Path(chosen or environ.get("BRIDGE_CONFIG") or "config.yaml")


def _keep(context: click.Context, _: click.Parameter, value: str | None) -> None:
    # The group's option is read first; a command's own wins where both are given.
    if value is not None:
        context.meta[_CONFIG] = value


def _config_option() -> click.Option:
    return click.Option(
        ["--config"],
        metavar="PATH",
        expose_value=False,
        callback=_keep,
        help="The configuration file [default: $BRIDGE_CONFIG, else config.yaml].",
    )


@click.group(cls=Commands)
@click.version_option(package_name="reward-bridge", prog_name="reward-bridge")
def main() -> None:
    """Send one message for each Voucherify reward, and prove it.

    Results go to stdout, messages to stderr. Exit code 0: done; 1: refused or failed;
    2: usage or configuration.
    """
