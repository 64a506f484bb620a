"""Alerts: keeps which conditions hold, and sends each once when it begins and ends."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import escape

from bridge import logging as logs
from bridge import metrics
from bridge.config import Config
from bridge.errors import StoreUnavailable, TransportError
from bridge.http import HttpClient
from bridge.maintenance.conditions import (
    WEBHOOK_FAILURES,
    WebhookFailures,
    judge,
    webhook_failures_summary,
)
from bridge.store import Store, alerts
from bridge.store.alerts import AlertState
from bridge.store.stats import QueueStats

log = logs.get(__name__)

#: The whole call; only the loop that makes it waits.
TIMEOUT = timedelta(seconds=10)
#: Seconds between two looks for something to send.
EVERY = 5.0
#: How long one process may take to send an alert before another does.
LEASE = timedelta(minutes=1)
#: Wait after the first failed try; it doubles up to the longest.
FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=30), timedelta(minutes=15)
_DOUBLINGS = 5
_OK = range(200, 300)

#: Sends a text; returns None, or why it could not.
Send = Callable[[str], str | None]


class Channel:
    """The outgoing webhook for alerts: JSON as Slack and many others accept it.

    Args:
        url: Where to; it is a secret.
    """

    def __init__(self, url: str) -> None:
        self._http = HttpClient(pool=1)
        self._url = url

    def send(self, text: str) -> str | None:
        """Send a text.

        Returns:
            None once it is accepted, else why it is not.

        References:
            https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks/
        """
        # Slack reads &, < and > as mark-up.
        body = json.dumps({"text": escape(text, quote=False)}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            reply = self._http.call(
                "POST", self._url, headers=headers, body=body, timeout=TIMEOUT
            )
        except TransportError as error:
            return error.reason
        return None if reply.status in _OK else f"status {reply.status}"


class AlertManager:
    """Compares counts with limits and keeps in the store what holds.

    Args:
        config: For limits and routes.
        store: Where it is kept.
    """

    def __init__(self, config: Config, store: Store) -> None:
        self._limits = config.alerts
        self._routes = {route.name: route.destination for route in config.routes}
        self._store = store
        self._failures = WebhookFailures(config.alerts.consecutive_webhook_failures)

    def update(self, stats: QueueStats | None) -> None:
        """Take a new count; None while the store cannot be read.

        Raises:
            StoreUnavailable: The store cannot be written.
        """
        if stats is None:
            return
        with self._store.read() as tx:
            states = alerts.read_all(tx)
        firing = {name for name, state in states.items() if state.is_firing}
        found = dict(judge(stats, self._limits, self._routes, firing))
        found[WEBHOOK_FAILURES] = self._failures.judge(
            metrics.consecutive_webhook_failures(),
            states.get(WEBHOOK_FAILURES),
            stats.last_webhook_at,
        )
        changed = {
            name: summary
            for name, summary in found.items()
            if (summary is not None) != (name in firing)
        }
        if changed:
            with self._store.write() as tx:
                for name, summary in changed.items():
                    alerts.set_firing(tx, name, summary)


class AlertSender:
    """Sends what began or ended, once among all processes; tries again on failure.

    While the store is away it alerts failing answers to webhooks by itself, because the
    store may be their cause.

    Args:
        config: For the limit of failures.
        store: Where it is kept what holds and what was sent.
        send: The channel.
    """

    def __init__(self, config: Config, store: Store, send: Send) -> None:
        self._limit = config.alerts.consecutive_webhook_failures
        self._store = store
        self._send = send
        #: Sent while the store was away, and not recorded there yet.
        self._unrecorded: str | None = None

    def run(self) -> Iterator[float]:
        """Look again and again for something to send; yields the seconds to wait."""
        while True:
            try:
                self.send_due()
            except StoreUnavailable as error:
                log.warning("alert.postponed", reason=error.reason)
                yield self.send_without_store()
            yield EVERY

    def send_due(self) -> None:
        """Send every alert that began or ended since the last was sent.

        Raises:
            StoreUnavailable: The store is away. An alert just sent may be sent again.
        """
        with self._store.read() as tx:
            is_due = any(one.is_due(tx.now) for one in alerts.read_all(tx).values())
        if not is_due and self._unrecorded is None:
            return
        with self._store.write() as tx:
            if self._unrecorded is not None:
                alerts.set_firing(tx, WEBHOOK_FAILURES, self._unrecorded)
                alerts.set_notified(tx, WEBHOOK_FAILURES, is_firing=True)
            due = alerts.claim(tx, LEASE)
        self._unrecorded = None
        for state in due:
            self._notify(state)

    def send_without_store(self) -> float:
        """Alert failing answers to webhooks though the store is away, once.

        Returns:
            Seconds to wait before the next try.
        """
        failures = metrics.consecutive_webhook_failures()
        if failures < self._limit or self._unrecorded is not None:
            return 0.0
        summary = webhook_failures_summary(failures)
        fault = self._send(f"reward-bridge ALERT: {summary}; the ledger is away")
        _log(WEBHOOK_FAILURES, fault, is_firing=True)
        if fault is not None:
            return FIRST_WAIT.total_seconds()
        self._unrecorded = summary
        return 0.0

    def _notify(self, state: AlertState) -> None:
        word = "ALERT" if state.is_firing else "ALL CLEAR, it was"
        fault = self._send(f"reward-bridge {word}: {state.summary}")
        _log(state.name, fault, is_firing=state.is_firing)
        with self._store.write() as tx:
            if fault is None:
                alerts.set_notified(tx, state.name, is_firing=state.is_firing)
            else:
                wait = FIRST_WAIT * 2 ** min(state.tries, _DOUBLINGS)
                alerts.schedule_retry(tx, state.name, min(wait, LONGEST_WAIT))


def _log(name: str, fault: str | None, *, is_firing: bool) -> None:
    if fault is None:
        log.info("alert.sent", condition=name, is_firing=is_firing)
    else:
        log.warning("alert.unsent", condition=name, is_firing=is_firing, reason=fault)
