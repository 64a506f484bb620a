"""A local Iterable: judges calls by the contract, fails when told to, shows what came.

with Sandbox(api_key="key", users={"crm-1": "ana@shop.example"}) as sandbox:
    sandbox.tell(fixture="s10", user="crm-1")  # the next call for crm-1: a 429
    ...
    assert sandbox.received[0].body["campaignId"] == 16504306
"""

from bridge.sandbox.answers import Rule
from bridge.sandbox.calls import Received
from bridge.sandbox.project import Campaign
from bridge.sandbox.server import Sandbox

__all__ = ["Campaign", "Received", "Rule", "Sandbox"]
