"""One `Bridge` becomes a Flask application."""

from flask import Flask

from bridge.bootstrap import Bridge
from bridge.web import answers, health, receiver


def create_app(bridge: Bridge) -> Flask:
    """Make the application; it holds nothing of its own beside the bridge."""
    app = Flask("bridge.web", static_folder=None, template_folder=None)
    # The server has already refused what is longer; this holds under any server.
    app.config["MAX_CONTENT_LENGTH"] = bridge.config.receive.max_body_bytes
    answers.install(app)
    app.register_blueprint(receiver.doors(bridge.config, bridge.intake))
    app.register_blueprint(health.checks(bridge.store))
    return app
