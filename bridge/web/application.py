"""One `Bridge` becomes a Flask application."""

from functools import partial
from importlib import import_module

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from bridge.bootstrap import Bridge
from bridge.lookout import Lookout
from bridge.web import answers, figures, health, receiver, reports
from bridge.web.fast_path import FastPath
from bridge.web.mounting import Application, Mounted


def create_app(bridge: Bridge) -> Flask:
    """Make the application; it holds nothing of its own beside the bridge."""
    app = Flask("bridge.web", static_folder=None, template_folder=None)
    # The server has already refused what is longer; this holds under any server.
    app.config["MAX_CONTENT_LENGTH"] = bridge.config.receive.max_body_bytes
    answers.install(app)
    doors = receiver.doors(bridge.config, bridge.intake)
    app.register_blueprint(receiver.views(doors))
    app.wsgi_app = FastPath(doors, app.wsgi_app)  # type: ignore[method-assign]
    app.register_blueprint(reports.door(bridge.config, bridge.confirm))
    _show_state(app, bridge)
    if bridge.config.secrets.console:
        make = partial(_console, bridge)
        app.wsgi_app = Mounted("/console", make, app.wsgi_app)  # type: ignore[method-assign]
    if bridge.config.proxies:
        # Around all, the console included.
        trust = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
        app.wsgi_app = trust  # type: ignore[method-assign] # as Flask's manual has it
    return app


def create_state_app(bridge: Bridge) -> Flask:
    """Make an application that takes no webhooks and only tells how things are."""
    app = Flask("bridge.web", static_folder=None, template_folder=None)
    answers.install(app)
    _show_state(app, bridge)
    return app


def _console(bridge: Bridge) -> Application:
    # Its libraries are not for the processes that nobody asks for it.
    application: Application = import_module("bridge.web.console").create_console(
        bridge
    )
    return application


def _show_state(app: Flask, bridge: Bridge) -> None:
    settings = bridge.config.metrics
    refresh = Lookout(bridge.config, bridge.store).refresh
    app.register_blueprint(health.checks(bridge.store))
    app.register_blueprint(
        figures.figures(settings.token, is_open=settings.is_open, refresh=refresh)
    )
