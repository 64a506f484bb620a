"""The other side of the queue: one actor that calls Iterable; it keeps no ledger."""

import os
from typing import Any

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))  # type: ignore[no-untyped-call] # it has no types
ITERABLE_URL = os.environ["ITERABLE_BASE_URL"]
HEADERS = {"Api-Key": os.environ["ITERABLE_API_KEY"]}


@dramatiq.actor
def send(data: dict[str, Any]) -> None:
    payload = {
        "campaignId": 16504306,
        "recipientUserId": data["customer"]["source_id"],
        "dataFields": {
            "couponCode": data["voucher"]["code"],
            "campaign": data["campaign"]["name"],
        },
    }
    url = f"{ITERABLE_URL}/api/email/target"
    response = requests.post(url, json=payload, headers=HEADERS, timeout=10)
    response.raise_for_status()
