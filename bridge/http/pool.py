"""Pools of kept connections, which wait for an answer or leave that to others."""

from collections.abc import Mapping
from typing import Any, cast

from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Timeout

from bridge.http.answer import Answer
from bridge.http.begun import Begun
from bridge.http.connection import PooledConnection, SecureConnection


class Pool(HTTPConnectionPool):
    """Kept connections to one host."""

    ConnectionCls = PooledConnection

    def urlopen(  # type: ignore[override] # what `HTTPAdapter` calls it with, no more
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        timeout: Timeout,
        **_: Any,
    ) -> Answer:
        """Make one call over a kept connection, or a new one.

        Args:
            method: `GET`, `POST`, ...
            url: Path and query.
            body: None for no body.
            headers: All but `Host`.
            timeout: For connecting; the rest has `current`.
        """
        connection = cast(PooledConnection, self._get_conn())
        connection.timeout = Timeout.resolve_default_timeout(timeout.connect_timeout)
        try:
            answer = connection.exchange(method, url, headers, body)
        except BaseException:
            connection.close()
            raise
        self._put_conn(connection)
        return answer

    def begin(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> Begun | None:
        """Begin a call without waiting.

        Returns:
            The call; None where no kept connection is ready, and nothing was written.
        """
        if self.pool is None or self.pool.empty():
            return None
        connection = cast(PooledConnection, self._get_conn())
        if connection.sock is None:
            self._put_conn(connection)
            return None
        try:
            request, written = connection.begin(method, path, headers, body)
        except OSError:
            # The other side ended it just now.
            connection.close()
            return None
        return Begun(self, connection, method, request, written)

    def put_back(self, connection: PooledConnection) -> None:
        """Keep a connection for another call."""
        self._put_conn(connection)


class SecurePool(Pool, HTTPSConnectionPool):
    """Kept TLS connections to one host."""

    ConnectionCls = SecureConnection
