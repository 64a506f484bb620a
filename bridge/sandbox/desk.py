"""Answers one call after another: by a rule where one strikes, else by the project."""

from collections.abc import Callable

from bridge.sandbox.answers import Rule, Rules
from bridge.sandbox.calls import Call, Inbox
from bridge.sandbox.control import Control
from bridge.sandbox.line import Line
from bridge.sandbox.project import MEDIA, Project, Verdict
from bridge.sandbox.reads import NOT_FOUND, Reads
from bridge.sandbox.reporting import SENT, Reporter


class Desk:
    """Where calls are judged, played and written down.

    Args:
        project: Judges.
        rules: Replace its answers.
        inbox: Keeps the calls.
        now: Tells the time, in seconds since 1970.

    Attributes:
        reporter: Told of every message that goes out; None where nobody wants to know.
    """

    def __init__(
        self, project: Project, rules: Rules, inbox: Inbox, now: Callable[[], float]
    ) -> None:
        self._project = project
        self._rules = rules
        self._inbox = inbox
        self._now = now
        self.reporter: Reporter | None = None
        self._reads = Reads(project, inbox.about)
        self._control = Control(rules, inbox)

    def serve(self, call: Call, line: Line) -> bool:
        """Answer one call; False where the connection is of no use afterwards."""
        if not call.path.startswith("/api/"):
            line.send(self._control.answer(call))
            return True
        rule = self._rules.pick(call) if self._rules else None
        if rule is not None:
            return self._play(rule, call, line)
        now = self._now()
        verdict = self._judge(call, now)
        self._inbox.add(call, at=now, status=verdict.answer.status, due=verdict.due)
        self._report(call, verdict, SENT)
        line.send(verdict.answer)
        return True

    def _judge(self, call: Call, now: float) -> Verdict:
        refused = self._project.refuse_key(call)
        if refused is not None:
            return Verdict(refused)
        if call.method == "POST" and call.path in MEDIA:
            return self._project.target(call, now)
        if call.method == "GET":
            return Verdict(self._reads.answer(call, now))
        return Verdict(NOT_FOUND)

    def _play(self, rule: Rule, call: Call, line: Line) -> bool:
        at = self._now()
        if rule.reset == "before":
            self._inbox.add(call, at=at, status=None, due=None)
            line.reset()
            return False
        if rule.delay_before and not line.wait(rule.delay_before):
            self._inbox.add(call, at=at, status=None, due=None)
            return False
        verdict = self._ruled(rule, call)
        status = None if rule.reset == "after" else verdict.answer.status
        self._inbox.add(call, at=at, status=status, due=verdict.due)
        self._report(call, verdict, rule.becomes or SENT)
        if rule.delay_after and not line.wait(rule.delay_after):
            return False
        return _deliver(rule, verdict, line)

    def _report(self, call: Call, verdict: Verdict, becomes: str) -> None:
        if self.reporter is not None and verdict.due is not None:
            self.reporter.accepted(call, verdict.due, becomes)

    def _ruled(self, rule: Rule, call: Call) -> Verdict:
        """Judge as the rule says; it may also know better what becomes of it."""
        now = self._now()
        if rule.answer is None:
            verdict = self._judge(call, now)
        else:
            is_sent = call.path in MEDIA and rule.answer.is_success
            verdict = Verdict(rule.answer, now if is_sent else None)
        if rule.accepts is None:
            return verdict
        return Verdict(verdict.answer, (verdict.due or now) if rule.accepts else None)


def _deliver(rule: Rule, verdict: Verdict, line: Line) -> bool:
    match rule.reset:
        case "after":
            line.reset()
            return False
        case "mid":
            line.send_half(verdict.answer)
            return False
    if rule.drip_head or rule.drip:
        return line.drip(
            verdict.answer, head=rule.drip_head, body=rule.drip, padding=rule.padding
        )
    line.send(verdict.answer, rule.padding)
    return True
