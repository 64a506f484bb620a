"""The script many start with: call Iterable inside the request, verify nothing."""

import os

import requests
from flask import Flask, request

app = Flask(__name__)
URL = f"{os.environ['ITERABLE_BASE_URL']}/api/email/target"
HEADERS = {"Api-Key": os.environ["ITERABLE_API_KEY"]}


@app.post("/webhooks/voucherify")
def webhook() -> tuple[str, int]:
    data = request.get_json()["data"]
    payload = {
        "campaignId": 16504306,
        "recipientUserId": data["customer"]["source_id"],
        "dataFields": {"couponCode": data["voucher"]["code"]},
    }
    response = requests.post(URL, json=payload, headers=HEADERS, timeout=10)
    response.raise_for_status()
    return "", 202
