"""Counts the queue every few seconds, for metrics and alerts, beside the deliveries.

Counting a million waiting deliveries takes a fraction of a second: the delivering
process does it, so that no request for metrics has to wait for it.
"""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from bridge import metrics
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.model import (
    Circuit,
    DeliveryStatus,
    destination_circuit,
    route_circuit,
)
from bridge.store import Store, stats
from bridge.store.schema import ACTIVE, FAILED
from bridge.store.stats import QueueStats

#: Seconds between two counts.
EVERY = 5.0
#: How long ago a delivery may have died to be counted as dead recently.
RECENTLY = timedelta(hours=24)
_COUNTED = tuple(map(DeliveryStatus, (*ACTIVE, *FAILED)))


class StatsCollector:
    """Counts what only the store knows, and shows it among the metrics.

    Args:
        config: For the names of routes and destinations.
        store: What is counted.
        then: Is given each count; None where the store could not be read.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        then: Callable[[QueueStats | None], None] | None = None,
    ) -> None:
        self._routes = [route.name for route in config.routes]
        self._circuits = [
            *map(destination_circuit, config.destinations),
            *map(route_circuit, self._routes),
        ]
        self._store = store
        self._then = then

    def run(self) -> Iterator[float]:
        """Count again and again; yields the seconds to wait."""
        while True:
            began = time.monotonic()
            found = self.collect()
            if self._then is not None:
                self._then(found)
            # A count that takes long is not made more often than it lasts.
            yield max(EVERY, time.monotonic() - began)

    def collect(self) -> QueueStats | None:
        """Count now and show it; None where the store cannot be read."""
        began = time.monotonic()
        try:
            found = stats.collect(self._store, RECENTLY)
        except StoreUnavailable:
            metrics.set_store_down()
            return None
        took = timedelta(seconds=time.monotonic() - began)
        self._show(found, took)
        return found

    def _show(self, found: QueueStats, took: timedelta) -> None:
        routes = [*self._routes, metrics.OTHER]
        counts = {(route, status): 0 for route in routes for status in _COUNTED}
        oldest = dict.fromkeys(routes, timedelta(0))
        for (route, status), number in found.deliveries.items():
            counts[self._known(route), status] += number
        for route in found.due:
            known = self._known(route)
            oldest[known] = max(oldest[known], found.overdue(route))
        metrics.set_stats(
            deliveries=counts,
            depth=found.count(DeliveryStatus.PENDING),
            queue_age=oldest,
            circuits={
                name: found.circuits.get(name, Circuit(name=name)).state
                for name in self._circuits
            },
            duration=took,
        )

    def _known(self, route: str) -> str:
        return route if route in self._routes else metrics.OTHER
