"""Looks at the store from time to time, so that nobody's scrape has to wait for it.

Counting a million waiting deliveries takes a fraction of a second. The delivering
process counts every few seconds in a thread of its own and puts the figures where every
process of the program finds them.
"""

import math
import time
from collections.abc import Callable
from datetime import timedelta
from threading import Event

from bridge import log as logs
from bridge import metrics
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.model import DeliveryStatus, GateState
from bridge.store import DESTINATION, Figures, Store

log = logs.get(__name__)

#: Between two looks of the delivering process, in seconds.
EVERY = 5.0
#: Figures older than this are nobody's: whoever is asked counts anew.
OLDEST = 15.0
#: Counting may take this part of the time, at most.
SHARE = 0.01
#: How long ago a delivery may have died to be news.
RECENTLY = timedelta(hours=24)


class Lookout:
    """Counts what only the store knows, and puts it among the metrics.

    Args:
        config: For the routes.
        store: Where to look.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._routes = [route.name for route in config.routes]
        self._store = store

    def look(self) -> Figures | None:
        """Count now; None where the store cannot be read."""
        began = time.monotonic()
        try:
            figures = self._store.ledger.figures(RECENTLY)
        except StoreUnavailable:
            self._forget()
            return None
        self._show(figures)
        metrics.STORE_UP.set(1)
        metrics.LOOK_SECONDS.set(time.monotonic() - began)
        metrics.LOOKED_AT.set(time.time())
        return figures

    def refresh(self) -> None:
        """Count again, unless that was done a short while ago.

        Short is a hundred times as long as it took, so that nobody can keep the store
        busy by asking.
        """
        age = time.time() - metrics.LOOKED_AT.get()
        good_for = min(OLDEST, metrics.LOOK_SECONDS.get() / SHARE)
        if not 0 <= age < good_for:  # as it is, too, where nobody has looked yet
            self.look()

    def run(
        self, stop: Event, then: Callable[[Figures | None], None] | None = None
    ) -> None:
        """Look again and again until told to stop.

        Args:
            stop: Set to end.
            then: Is given what each look found.
        """
        while not stop.is_set():
            began = time.monotonic()
            # This thread may not end before the process: nobody would be alerted.
            try:
                figures = self.look()
                if then is not None:
                    then(figures)
            except Exception:
                log.exception("lookout.failed")
            taken = time.monotonic() - began
            stop.wait(max(EVERY, taken))

    def _forget(self) -> None:
        """Show nothing rather than what was so a while ago."""
        for family in metrics.FROM_STORE:
            family.fill(math.nan)
        metrics.STORE_UP.set(0)
        metrics.LOOKED_AT.set(math.nan)

    def _show(self, figures: Figures) -> None:
        routes = [*self._routes, metrics.OTHER]
        counts = dict.fromkeys(
            ((route, status) for route in routes for status in metrics.COUNTED_STATES),
            0,
        )
        oldest = dict.fromkeys(routes, timedelta(0))
        for (route, status), number in figures.deliveries.items():
            counts[self._known(route), status] += number
        for route in figures.due:
            known = self._known(route)
            oldest[known] = max(oldest[known], figures.overdue(route))
        for labels, number in counts.items():
            metrics.DELIVERIES.set(number, *labels)
        for route, age in oldest.items():
            metrics.OLDEST_DUE_SECONDS.set(age.total_seconds(), route)
        metrics.DEPTH.set(figures.count(DeliveryStatus.PENDING))
        for name in (DESTINATION, *(f"route:{route}" for route in self._routes)):
            gate = figures.gates.get(name)
            found = GateState.OPEN if gate is None else gate.state
            for state in GateState:
                metrics.GATE_STATE.set(float(state is found), name, state)

    def _known(self, route: str) -> str:
        return route if route in self._routes else metrics.OTHER
