"""A receiver in front of a Dramatiq queue on Redis, as its guide has it."""

from flask import Flask, request

from benchmarks.baselines.dramatiq_tasks import send

app = Flask(__name__)


@app.post("/webhooks/voucherify")
def webhook() -> tuple[str, int]:
    send.send(request.get_json()["data"])
    return "", 202
