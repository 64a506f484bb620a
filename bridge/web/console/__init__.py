"""The operator's pages: who asks is let in once, and sees and steers from there.

An application of its own below `/console`: the doors for webhooks pay nothing for its
sessions, forms and templates.
"""

from bridge.web.console.application import create_console

__all__ = ["create_console"]
