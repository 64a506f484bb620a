"""Names of routes as typed, held against configuration and ledger."""

from bridge.bootstrap import Bridge
from bridge.cli.frame import refuse
from bridge.store import DeliveryFilter


def demand_route(bridge: Bridge, name: str) -> None:
    """Tell an empty list from a name that is mistyped.

    Raises:
        ClickException: Neither configuration nor ledger knows the route.
    """
    if bridge.config.route(name) is not None:
        return
    if not bridge.store.ledger.deliveries(DeliveryFilter(route=name, limit=1)):
        where = "in the configuration or in the ledger"
        raise refuse(f"there is no route {name}, {where}")
