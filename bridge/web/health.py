"""Whether the process is alive, and whether the program does its work."""

from flask import Blueprint, Response

from bridge.model import GateState
from bridge.store import Store
from bridge.web.answers import as_json, problem

#: Said beside `"workers": 0`; requests are stored all the same.
NOBODY = "nobody delivers: run `reward-bridge worker`, or serve without --no-deliver"


def checks(store: Store) -> Blueprint:
    """Make the pages a platform asks."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return as_json({"status": "alive"})

    @blueprint.get("/readyz")
    def readyz() -> Response:
        store.ping()
        if not store.is_current():
            detail = "the tables are missing or old: run `reward-bridge migrate`"
            return problem(503, "Service Unavailable", detail)
        health = store.ledger.health()
        age = health.oldest_due_age
        shut = (gate for gate in health.gates.values() if gate.state != GateState.OPEN)
        content: dict[str, object] = {
            "status": "ready",
            "oldest_due_seconds": None if age is None else age.total_seconds(),
            "depth": health.depth,
            "workers": health.workers,
            "stopped": {gate.name: gate.state.value for gate in shut},
            "narrowed": any(gate.narrow for gate in health.gates.values()),
        }
        if not health.workers:
            content["warning"] = NOBODY
        return as_json(content)

    return blueprint
