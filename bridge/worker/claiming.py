"""Which due deliveries a round claims, and the time each is to be sent at."""

import time
from collections.abc import Mapping
from datetime import timedelta

from bridge.config import Config
from bridge.gatekeeper import DESTINATION, Gatekeeper, is_probing, is_shut
from bridge.model import Claim, Gate, Lane
from bridge.senders import Task
from bridge.store import Store, Tx, gate_of, new_id
from bridge.worker.narrowing import level_of

#: How far ahead send slots are handed out.
HORIZON = timedelta(seconds=1)
#: One in so many of a round's claims is kept for retries that are due.
RETRY_SHARE = 4
#: What part of a second's sends may come late together: 105 % of the rate over 2 s.
LATE_PART = 0.1
#: Between two looks at retries when none was due, in seconds.
RETRY_LOOK = 0.05


class Claiming:
    """Takes slots and deliveries together, so that all processes keep one rate.

    Args:
        config: For routes, rate and time limits.
        store: Where deliveries wait.
        keeper: Is told of what passes a closed gate.
        most: How many claims a process may hold.
    """

    def __init__(
        self, config: Config, store: Store, keeper: Gatekeeper, most: int
    ) -> None:
        self._config = config
        self._store = store
        self._keeper = keeper
        self._most = most
        self._timeout = config.iterable.timeout
        # A claim waits for its slot and perhaps for a thread before its call.
        self._lease = 2 * self._timeout + HORIZON + timedelta(seconds=4)
        self._is_retry_first = False
        #: Monotonic time of the next look at retries.
        self._retries_at = 0.0

    def claim(self, tx: Tx, gates: Mapping[str, Gate], room: int) -> list[Task]:
        """Claim as many due deliveries as there are slots and room for."""
        rate = self._config.iterable.rate_per_second
        room = min(room, self._store.gates.free_slots(tx, rate, HORIZON, gates))
        if room <= 0:
            return []
        claims = self._claim_probes(tx, gates, room)
        if level_of(gates):
            claims += self._claim_alone(tx, gates) if not claims else []
        elif not is_shut(gates, DESTINATION):
            names = self._names(gates)
            found = self._claim_lanes(tx, names, room - len(claims))
            claims += [(claim, None) for claim in found]
        if not claims:
            return []
        delays = self._store.gates.take_slots(tx, len(claims), rate, gates)
        now = time.monotonic()
        latest = now + (self._lease - self._timeout).total_seconds()
        # Where all claims together are much less than a second's worth, none can be so
        # late that the rate suffers.
        is_punctual = self._most > LATE_PART * rate
        return [
            Task(
                claim=claim,
                slot=now + delay.total_seconds(),
                latest=latest,
                is_punctual=is_punctual,
                probes=probes,
            )
            for (claim, probes), delay in zip(claims, delays, strict=True)
        ]

    def _claim_probes(
        self, tx: Tx, gates: Mapping[str, Gate], room: int
    ) -> list[tuple[Claim, str | None]]:
        """Claim one delivery for each closed gate that may open."""
        doors = {
            gate_of(route.name): list(route.names) for route in self._config.routes
        }
        if is_shut(gates, DESTINATION):
            doors = {DESTINATION: self._names(gates)}
        claims: list[tuple[Claim, str | None]] = []
        for gate, names in doors.items():
            if is_probing(gates, gate) and len(claims) < room:
                found = self._claim_one(tx, names)
                if found:
                    self._keeper.let_through(tx, gates[gate])
                claims += [(claim, gate) for claim in found]
        return claims

    def _claim_alone(
        self, tx: Tx, gates: Mapping[str, Gate]
    ) -> list[tuple[Claim, str | None]]:
        """Claim one delivery where nobody holds any: an outage shall make few doubts.

        Those sent perhaps before come last: they have only so many attempts.
        """
        if is_shut(gates, DESTINATION):
            return []
        # It is locked by that: two workers must not both find that nobody holds any.
        self._store.gates.get(tx, DESTINATION)
        if self._store.queue.is_sending(tx):
            return []
        found = self._claim_one(tx, self._names(gates))
        return [(claim, DESTINATION) for claim in found]

    def _names(self, gates: Mapping[str, Gate]) -> list[str]:
        """List the names of the routes whose gates are open."""
        return [
            name
            for route in self._config.routes
            if not is_shut(gates, gate_of(route.name))
            for name in route.names
        ]

    def _claim_one(self, tx: Tx, names: list[str]) -> list[Claim]:
        """Claim a single delivery, whichever lane has one."""
        queue, token = self._store.queue, new_id()
        return queue.claim(tx, names, Lane.FRESH, 1, self._lease, token) or queue.claim(
            tx, names, Lane.RETRY, 1, self._lease, token
        )

    def _claim_lanes(self, tx: Tx, names: list[str], limit: int) -> list[Claim]:
        """Claim from both lanes so that neither starves the other."""
        if limit <= 0 or not names:
            return []
        queue, token = self._store.queue, new_id()
        # With room for too few to share, the lanes take turns at being first.
        share = limit // RETRY_SHARE or int(self._is_retry_first)
        retries: list[Claim] = []
        if time.monotonic() >= self._retries_at:
            retries = queue.claim(tx, names, Lane.RETRY, share, self._lease, token)
            if share and not retries:
                self._retries_at = time.monotonic() + RETRY_LOOK
        rest = limit - len(retries)
        claims = retries + queue.claim(tx, names, Lane.FRESH, rest, self._lease, token)
        rest = limit - len(claims)
        if rest and len(retries) == share and time.monotonic() >= self._retries_at:
            claims += queue.claim(tx, names, Lane.RETRY, rest, self._lease, token)
        if claims:
            self._is_retry_first = not self._is_retry_first
        return claims
