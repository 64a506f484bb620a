"""The command line: arguments in, one call, answer out; decides nothing itself."""

from bridge.cli.app import main

__all__ = ["main"]
