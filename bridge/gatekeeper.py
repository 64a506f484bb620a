"""What attempts and probes mean for the gates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from bridge import log as logs
from bridge.config import Config
from bridge.dispatch import Result, is_success
from bridge.model import Blame, Classification, Gate, GateState, Outcome
from bridge.retry import PROBE_EVERY
from bridge.store import Gates, Tx, gate_of

log = logs.get(__name__)

DESTINATION = "destination"
NOW = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The cheap question whether what closed a gate has been mended."""

    gate: str
    #: The campaign to ask for; None asks whether the key is good.
    campaign_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """What Iterable said to a probe."""

    gate: str
    outcome: Outcome


class Gatekeeper:
    """Opens and closes gates inside the coordinator's transactions.

    A closed gate is probed with a cheap GET, then with one real delivery; only that
    one's success opens it, or where the gate awaits proof, a report that it was sent.

    Args:
        config: For the routes and their campaigns.
        gates: Where gates are kept.
    """

    def __init__(self, config: Config, gates: Gates) -> None:
        self._config = config
        self._gates = gates

    def begin(self, tx: Tx) -> None:
        """Have every closed gate probed at once: a restart may be the mending."""
        for gate in self._gates.read(tx).values():
            if gate.state in (GateState.CLOSED, GateState.PROBING):
                self._gates.defer_probe(tx, gate.name, gate.reason, NOW)

    def let_through(self, tx: Tx, gate: Gate) -> None:
        """Close a gate again behind the one delivery that may pass."""
        self._gates.defer_probe(tx, gate.name, gate.reason, PROBE_EVERY)

    def take_answers(self, tx: Tx, answers: Sequence[Probed]) -> None:
        """Let one delivery through where a probe went well."""
        for answer in answers:
            self._take_answer(tx, answer)

    def apply(self, tx: Tx, results: Sequence[Result]) -> None:
        """Move the gates as attempts ask."""
        for result in results:
            if result.pause is not None:
                self._gates.pause_destination(tx, result.pause)
            if result.closes is not None:
                self._close(tx, result)
            elif result.probes is not None:
                self._take_probe(tx, result, result.probes)

    def due(self, tx: Tx, gates: Mapping[str, Gate]) -> list[Probe]:
        """List the gates to be probed now, none of them twice."""
        probes = []
        for gate in gates.values():
            # Further ahead than any probe is put off, the clock was set back.
            is_due = gate.probe_at is not None and not (
                tx.now < gate.probe_at <= tx.now + PROBE_EVERY
            )
            if gate.state is GateState.CLOSED and is_due:
                self._gates.defer_probe(tx, gate.name, gate.reason, PROBE_EVERY)
                probes.append(Probe(gate=gate.name, campaign_id=self._campaign(gate)))
        return probes

    def _campaign(self, gate: Gate) -> int | None:
        """Find the campaign whose state tells whether the gate may open."""
        for route in self._config.routes:
            if gate.name == gate_of(route.name):
                return route.campaign_id
        return None

    def _close(self, tx: Tx, result: Result) -> None:
        name = DESTINATION
        if result.closes is Blame.ROUTE:
            route = self._config.route(result.claim.route)
            name = gate_of(route.name if route else result.claim.route)
        reason = result.settlement.reason or "configuration error"
        if self._gates.close(tx, name, reason, PROBE_EVERY):
            log.error("gate.closed", gate=name, reason=reason)
        else:
            self._gates.defer_probe(tx, name, reason, PROBE_EVERY)

    def _take_answer(self, tx: Tx, probed: Probed) -> None:
        if probed.outcome.classification is Classification.SUCCESS:
            self._gates.probing(tx, probed.gate)
        else:
            reason = probed.outcome.reason
            self._gates.defer_probe(tx, probed.gate, reason, PROBE_EVERY)

    def _take_probe(self, tx: Tx, result: Result, name: str) -> None:
        if is_success(result):
            if self._gates.get(tx, name).awaits_proof:
                return
            if self._gates.open(tx, name, even_paused=False):
                log.info("gate.opened", gate=name, by="probe")
            return
        # It proved nothing about the gate: the next one may.
        gate = self._gates.read(tx)[name]
        if gate.state is GateState.CLOSED:
            self._gates.defer_probe(tx, name, gate.reason, NOW)


def is_shut(gates: Mapping[str, Gate], name: str) -> bool:
    """Tell whether ordinary deliveries must wait at a gate."""
    gate = gates.get(name)
    return gate is not None and gate.state is not GateState.OPEN


def is_probing(gates: Mapping[str, Gate], name: str) -> bool:
    """Tell whether one delivery may pass a closed gate."""
    gate = gates.get(name)
    return gate is not None and gate.state is GateState.PROBING


def shut_routes(config: Config, gates: Mapping[str, Gate]) -> Iterator[str]:
    """List the names of routes nobody may send on, "" standing for all of them."""
    if is_shut(gates, DESTINATION):
        yield ""
    for route in config.routes:
        if is_shut(gates, gate_of(route.name)):
            yield from route.names
