"""One `Bridge` becomes a Flask application, and a `Config` the programs' processes."""

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from bridge import bootstrap, metrics
from bridge.bootstrap import CONCURRENCY, Bridge
from bridge.config import Config
from bridge.maintenance.stats import StatsCollector
from bridge.server import in_native_thread
from bridge.server.programs import Entrypoints
from bridge.web import answers, receipts, status
from bridge.web.bodies import BodyReader
from bridge.web.webhooks import Webhooks


class _App(Flask):
    """Flask without coroutines, which it would look for in every call of a view."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return a view as it is: none of ours is a coroutine."""
        return func


def create_app(bridge: Bridge) -> Flask:
    """Make the application of a receiving process."""
    config = bridge.config
    app = _new_app(bridge)
    bodies = BodyReader(config.max_body_bytes)
    webhooks = Webhooks(config, bridge.sources, bridge.intake, bodies)
    app.register_blueprint(webhooks.blueprint())
    readers = receipts.readers(config)
    app.register_blueprint(receipts.blueprint(readers, bridge.receipts, bodies))
    webhooks.install_rejections(app, [one.path for one in readers])
    if config.console_password:
        # Its libraries are loaded only where there is a console.
        from bridge.web import console  # noqa: PLC0415

        console.install(app, bridge)
    return app


def create_status_app(bridge: Bridge) -> Flask:
    """Make an application that receives nothing and only tells how things are."""
    return _new_app(bridge)


def entrypoints(config: Config, concurrency: int = CONCURRENCY) -> Entrypoints:
    """Say what the processes of `serve` and `worker` do.

    Args:
        config: Loaded for what they do.
        concurrency: Sends to one destination at the same time.
    """
    return Entrypoints(
        prepare=partial(bootstrap.prepare, config),
        finish=partial(bootstrap.finish, config),
        application=lambda: create_app(bootstrap.build(config, start=in_native_thread)),
        status=lambda: create_status_app(bootstrap.build(config)),
        deliver=lambda stop: bootstrap.deliver(
            config, stop=stop, concurrency=concurrency, start=in_native_thread
        ),
    )


def _new_app(bridge: Bridge) -> Flask:
    config = bridge.config
    app = _App("bridge.web", static_folder=None, template_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = config.max_body_bytes
    # A trailing slash is ignored, and nothing is redirected: a webhook's sender takes
    # a redirect for a failure.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    answers.install(app)
    metrics.declare([route.name for route in config.routes], config.destinations)
    collect = StatsCollector(config, bridge.store).collect
    app.register_blueprint(status.blueprint(bridge.store, config.metrics, collect))
    if config.proxies:
        trust = ProxyFix(app.wsgi_app, x_for=config.proxies, x_proto=config.proxies)
        app.wsgi_app = trust  # type: ignore[method-assign] # as Flask's manual has it
    return app
