"""gunicorn, set up for the bridge, and the processes of `serve`."""

from bridge.server.processes import Parts, serve, work

__all__ = ["Parts", "serve", "work"]
