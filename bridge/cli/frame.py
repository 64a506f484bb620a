"""What every command has: `--config`, an example in its help, one way to fail."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from bridge import config
from bridge.errors import BridgeError, ConfigError

#: Exit codes of a command that did not do its work.
REFUSED, MISCONFIGURED = 1, 2
_CONFIG = "bridge.config"


def config_path() -> Path:
    """Name the configuration file: `--config`, else BRIDGE_CONFIG, else config.yaml."""
    chosen = click.get_current_context().meta.get(_CONFIG)
    return Path(chosen or config.environ().get("BRIDGE_CONFIG") or "config.yaml")


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
    """The commands; turns the bridge's errors into lines and exit codes."""

    command_class = Command

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.append(_config_option())

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


def refuse(reason: str) -> click.ClickException:
    """Make the error that ends a command with exit code 1 and one line."""
    return click.ClickException(reason)
