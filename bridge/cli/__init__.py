"""The command `reward-bridge`: arguments in, one call, answer out.

Commands are imported when they are run, so that `--help` is fast; each command decides
nothing itself.
"""

from bridge.cli.app import main

__all__ = ["main"]
