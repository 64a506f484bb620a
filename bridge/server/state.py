"""A small server beside a `worker`, for those who ask how it does."""

import socket
from socketserver import ThreadingMixIn
from threading import Thread
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from bridge.server.exchange import Application

#: Seconds a client may take for its question.
_PATIENCE = 5.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, *_: object) -> None:
        """Keep stderr for the program's own lines."""


def show_state(application: Application, listener: socket.socket) -> None:
    """Answer questions in threads that end with the process.

    Args:
        application: The answers; it takes nothing worth a better server.
        listener: Bound already.
    """
    host, port = listener.getsockname()[:2]
    server = _Server((host, port), _Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.server_name, server.server_port = str(host), int(port)
    server.setup_environ()
    server.set_app(application)
    Thread(target=server.serve_forever, name="state", daemon=True).start()
