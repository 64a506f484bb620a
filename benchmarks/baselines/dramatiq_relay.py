"""A Flask receiver, a Dramatiq queue on Redis, an actor that calls Iterable."""

import os
from typing import Any

import dramatiq
import requests
from dramatiq.brokers.redis import RedisBroker
from flask import Flask, request

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
app = Flask(__name__)
URL = f"{os.environ['ITERABLE_BASE_URL']}/api/email/target"
HEADERS = {"Api-Key": os.environ["ITERABLE_API_KEY"]}


@dramatiq.actor
def send(data: dict[str, Any]) -> None:
    payload = {
        "campaignId": 16504306,
        "recipientUserId": data["customer"]["source_id"],
        "dataFields": {"couponCode": data["voucher"]["code"]},
    }
    response = requests.post(URL, json=payload, headers=HEADERS, timeout=10)
    response.raise_for_status()


@app.post("/webhooks/voucherify")
def webhook() -> tuple[str, int]:
    send.send(request.get_json()["data"])
    return "", 202
