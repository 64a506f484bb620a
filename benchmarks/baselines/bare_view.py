"""The least a Flask receiver can do: answer 202. It stores nothing."""

from flask import Flask

app = Flask(__name__)


@app.post("/webhooks/voucherify")
def webhook() -> tuple[str, int]:
    return "", 202
