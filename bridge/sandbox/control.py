"""The sandbox's own doors: what it shall answer, what it received, and a page."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from html import escape

from bridge.model import Json
from bridge.sandbox.answers import Answer, Rule, Rules, answer, rules_of
from bridge.sandbox.calls import Call, Inbox, Received

_SHOWN = 100
_EMPTY = Answer(204, b"")
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">
<title>Iterable sandbox</title>
<style>body{{font:15px/1.4 system-ui,sans-serif;margin:2rem}}
td,th{{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}}
pre{{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}}</style></head>
<body><h1>Iterable sandbox</h1><p>{summary}</p>
<table><thead><tr><th>Time (UTC)<th>Status<th>Call<th>User<th>Campaign<th>Body</tr>
</thead><tbody>
{rows}
</tbody></table></body></html>
"""


class Control:
    """Answers the calls that are not for Iterable.

    Args:
        rules: What `/_sandbox/answers` adds to.
        inbox: What `/_sandbox/received` shows.
    """

    def __init__(self, rules: Rules, inbox: Inbox) -> None:
        self._rules = rules
        self._inbox = inbox
        self._doors: Mapping[tuple[str, str], Callable[[Call], Answer]] = {
            ("GET", "/"): self._page,
            ("POST", "/_sandbox/answers"): self._add,
            ("GET", "/_sandbox/answers"): self._list,
            ("DELETE", "/_sandbox/answers"): self._clear_rules,
            ("GET", "/_sandbox/received"): self._received,
            ("DELETE", "/_sandbox/received"): self._clear_inbox,
        }

    def answer(self, call: Call) -> Answer:
        """Answer a call to one of the doors."""
        door = self._doors.get((call.method, call.path))
        if door is None:
            doors = [f"{method} {path}" for method, path in self._doors]
            return answer(404, {"error": "no such door", "doors": doors})
        return door(call)

    def _add(self, call: Call) -> Answer:
        try:
            rules = rules_of(call.document)
        except ValueError as error:
            return answer(400, {"error": str(error)})
        self._rules.add(*rules)
        return answer(201, {"answers": [_shown(rule) for rule in rules]})

    def _list(self, _call: Call) -> Answer:
        return answer(200, {"answers": [_shown(rule) for rule in self._rules.listed()]})

    def _clear_rules(self, _call: Call) -> Answer:
        self._rules.clear()
        return _EMPTY

    def _received(self, call: Call) -> Answer:
        text = call.parameters.get("since", ["0"])[0]
        if re.fullmatch(r"[0-9]{1,18}", text) is None:
            return answer(400, {"error": "since must be the number of a call"})
        calls = self._inbox.calls(since=int(text))
        last = calls[-1].number if calls else int(text)
        if "all" not in call.parameters:
            calls = [one for one in calls if one.method == "POST"]
        document = {"last": last, "received": [one.shown() for one in calls]}
        return answer(200, document)

    def _clear_inbox(self, _call: Call) -> Answer:
        self._inbox.clear()
        return _EMPTY

    def _page(self, _call: Call) -> Answer:
        calls = self._inbox.calls()
        rows = "\n".join(_row(one) for one in reversed(calls[-_SHOWN:]))
        accepted = sum(one.is_accepted for one in calls)
        summary = f"{len(calls)} calls received, {accepted} messages accepted."
        page = _PAGE.format(summary=summary, rows=rows)
        return Answer(200, page.encode(), content_type="text/html; charset=utf-8")


def _shown(rule: Rule) -> dict[str, Json]:
    """Describe a rule by what it says at all."""
    shown = {
        field.name: getattr(rule, field.name)
        for field in fields(rule)
        if field.name != "answer" and getattr(rule, field.name) != field.default
    }
    if rule.answer is not None:
        shown["status"] = rule.answer.status
    return shown


def _row(one: Received) -> str:
    body = json.dumps(one.body, indent=1, ensure_ascii=False) if one.raw else ""
    status = "cut off" if one.status is None else one.status
    cells = (
        f"{one.time:%H:%M:%S.%f}"[:-3],
        f"{status}{', accepted' if one.is_accepted else ''}",
        f"{one.method} {one.path}{'?' if one.query else ''}{one.query}",
        one.user or "",
        "" if one.campaign is None else one.campaign,
    )
    row = "".join(f"<td>{escape(str(cell))}</td>" for cell in cells)
    return f"<tr>{row}<td><pre>{escape(body)}</pre></td></tr>"
