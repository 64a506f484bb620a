"""Words of the operator's commands and metrics, beside those in `dialect`."""

from typing import Any

from tests.product.dialect import OLD
from tests.product.dialect import metric as _metric
from tests.product.program import Program

#: What `pause` and `resume` call the breaker before all routes to Iterable.
DESTINATION = "destination" if OLD else "iterable"
#: Control addresses of the sandbox.
SANDBOX_RULES = "/_sandbox/answers" if OLD else "/_sandbox/iterable/rules"
SANDBOX_RECEIVED = "/_sandbox/received" if OLD else "/_sandbox/iterable/received"
#: Findings of `reconcile` that had another name, from the new to the old.
_FINDINGS = {"matched": "told", "unexpected": "extra", "unrouted": "unwanted"}
#: Metrics that had another name, from the new to the old.
_METRICS = {
    "bridge_rejected_requests_total": "bridge_refused_requests_total",
    "bridge_attempt_results_total": "bridge_settled_deliveries_total",
    "bridge_circuit_state": "bridge_gate_state",
}
#: Settings of an answer the sandbox is told to give, from the new to the old.
_ANSWERS = {"receipt": "becomes"}


def apply(program: Program, *arguments: str, status: int = 0) -> str:
    """Run an operator's command without being asked; return what it printed.

    The old `resolve`, `pause` and `resume` act at once and know no `--yes`.
    """
    is_asked = not OLD or arguments[0] not in ("resolve", "pause", "resume")
    return program.run(*arguments, *(["--yes"] if is_asked else []), status=status)


def finding(word: str) -> str:
    """Give the word that `reconcile` has for a finding."""
    return _FINDINGS.get(word, word) if OLD else word


def sandbox_answer(**settings: Any) -> dict[str, Any]:
    """Write a rule for the sandbox.

    Args:
        settings: `user`, `path`, `times`, and either `status`, `headers` and `body`,
            or `reset` (`after`: cut off once the message is accepted), or `receipt`
            (`sent`, `bounced`, or the reason for which a message is skipped).
    """
    if OLD:
        return {_ANSWERS.get(key, key): one for key, one in settings.items()}
    if settings.pop("reset", None) == "after":
        settings["lost"] = settings["accepts"] = True
    return settings


def metric(name: str) -> str:
    """Give the name the program under test has for a metric."""
    return _METRICS.get(name, _metric(name)) if OLD else name
