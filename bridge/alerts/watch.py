"""From conditions to messages: each said once when it begins and once when it ends."""

import time
from collections.abc import Callable
from datetime import timedelta

from bridge import log as logs
from bridge import metrics
from bridge.alerts.conditions import UPSTREAM, Upstream, judge, upstream_summary
from bridge.config import Config
from bridge.errors import StoreUnavailable
from bridge.store import Alarm, Figures, Store

log = logs.get(__name__)

#: How long one process may take to say something before another does.
LEASE = timedelta(minutes=1)
#: Wait after the first try in vain; it doubles up to the longest.
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
_DOUBLINGS = 5

#: Says a text outside; returns None, or why it could not.
Say = Callable[[str], str | None]


class Watch:
    """Compares figures with limits, keeps the outcome in the store, and speaks.

    Args:
        config: For limits and routes.
        store: Where it is kept what holds and what was said.
        say: The channel.
    """

    def __init__(self, config: Config, store: Store, say: Say) -> None:
        self._limits = config.alerts
        self._routes = [route.name for route in config.routes]
        self._store = store
        self._say = say
        self._upstream = Upstream(config.alerts.upstream_failures)
        #: What was said and is not noted in the store yet.
        self._said: dict[str, bool] = {}
        #: What the store has yet to learn, as it was away, and when to say it again.
        self._alone: str | None = None
        self._alone_at = 0.0

    def update(self, figures: Figures | None) -> None:
        """Take new figures; None while the store cannot be read."""
        try:
            if figures is None:
                self._speak_alone()
            else:
                self._compare(figures)
        except StoreUnavailable as error:
            log.warning("alert.postponed", reason=error.reason)

    def _compare(self, figures: Figures) -> None:
        with self._store.read() as tx:
            alarms, now = self._store.alarms.read(tx), tx.now
        firing = {name for name, alarm in alarms.items() if alarm.is_firing}
        found = dict(judge(figures, self._limits, self._routes, firing))
        # What the store has yet to learn it learns first, even if it is over.
        found[UPSTREAM] = self._alone or self._judge_upstream(
            is_firing=UPSTREAM in firing
        )
        changed = {
            name: summary
            for name, summary in found.items()
            if (summary is not None) != (name in firing)
        }
        if not changed and not any(alarm.is_due(now) for alarm in alarms.values()):
            return
        with self._store.write() as tx:
            for name, summary in changed.items():
                text = alarms[name].summary if summary is None else summary
                is_firing = summary is not None
                self._store.alarms.move(tx, name, text, is_firing=is_firing)
            due = self._store.alarms.claim(tx, LEASE)
        self._alone = None
        for alarm in due:
            self._tell(alarm)

    def _judge_upstream(self, *, is_firing: bool) -> str | None:
        failures = metrics.UPSTREAM_FAILURES.get()
        stored = metrics.total(metrics.WEBHOOKS)
        holds = self._upstream.judge(failures, stored, is_firing=is_firing)
        return upstream_summary(failures) if holds else None

    def _tell(self, alarm: Alarm) -> None:
        """Say that a condition holds or is over, unless that was just said."""
        if self._said.get(alarm.name) is not alarm.is_firing:
            word = "ALERT" if alarm.is_firing else "ALL CLEAR, it was"
            fault = self._say(f"reward-bridge {word}: {alarm.summary}")
            _log(alarm.name, fault, is_firing=alarm.is_firing)
            if fault is not None:
                wait = FIRST_WAIT * 2 ** min(alarm.tries, _DOUBLINGS)
                with self._store.write() as tx:
                    delay = min(wait, LONGEST_WAIT)
                    self._store.alarms.failed(tx, alarm.name, delay)
                return
            self._said[alarm.name] = alarm.is_firing
        with self._store.write() as tx:
            self._store.alarms.told(tx, alarm.name, is_firing=alarm.is_firing)
        del self._said[alarm.name]

    def _speak_alone(self) -> None:
        """Tell of failing answers, whose cause may be the very store that is away.

        Once it is back it learns what was said.
        """
        if self._alone is None:
            self._alone = self._judge_upstream(is_firing=False)
        is_said = self._said.get(UPSTREAM, False)
        if self._alone is None or is_said or time.monotonic() < self._alone_at:
            return
        fault = self._say(f"reward-bridge ALERT: {self._alone}; the ledger is away")
        _log(UPSTREAM, fault, is_firing=True)
        if fault is None:
            self._said[UPSTREAM] = True
        else:
            self._alone_at = time.monotonic() + FIRST_WAIT.total_seconds()


def _log(name: str, fault: str | None, *, is_firing: bool) -> None:
    if fault is None:
        log.info("alert.sent", condition=name, is_firing=is_firing)
    else:
        log.warning("alert.unsent", condition=name, is_firing=is_firing, reason=fault)
