"""What to answer: one answer, and the rules that replace the project's own."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any, Literal, get_args

from bridge import resources
from bridge.model import Json
from bridge.sandbox.calls import Call

JSON_TYPE = "application/json"
#: Longer than any client waits; the sandbox notices when one stops waiting.
_NEVER = 3600.0

#: What may be answered; a status below is not the end of an answer.
_STATUSES = range(200, 600)
_SUCCESSES = range(200, 300)

Reset = Literal["before", "after", "mid"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = JSON_TYPE

    @property
    def is_success(self) -> bool:
        """Whether Iterable takes the message, as far as the status says."""
        return self.status in _SUCCESSES


def answer(status: int, document: Json) -> Answer:
    """Make an answer of JSON."""
    return Answer(status, json.dumps(document, separators=(",", ":")).encode())


def refusal(status: int, code: str, message: str, params: Json = None) -> Answer:
    """Make an answer of Iterable's usual form."""
    return answer(status, {"msg": message, "code": code, "params": params})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which calls get what else than the project's own answer.

    Without `answer` the project judges as usual, only later, slower or cut off.
    """

    #: Whom the call is about, exactly; None for anybody. So the next two.
    user: str | None = None
    path: str | None = None
    campaign: int | None = None
    #: Matching calls let through before, and calls to strike; None for all to come.
    skip: int = 0
    times: int | None = 1
    #: Strikes one matching call in so many.
    one_in: int = 1
    answer: Answer | None = None
    #: Whether a message goes out; None: as the answer says.
    accepts: bool | None = None
    #: What is reported of a message that goes out: `sent`, `bounced`, `complained`,
    #: `nothing`, or the reason for which it is skipped.
    becomes: str | None = None
    #: Seconds of silence before the call is accepted: a caller that goes away
    #: meanwhile is not served. And after that, before the answer.
    delay_before: float = 0.0
    delay_after: float = 0.0
    #: Cuts the connection before the call is looked at, in place of the answer, or
    #: in the middle of it.
    reset: Reset | None = None
    #: Seconds between single bytes of the answer's head, and of its body.
    drip_head: float = 0.0
    drip: float = 0.0
    #: Blanks behind the body, to make a reply larger than anybody should read.
    padding: int = 0

    def matches(self, call: Call) -> bool:
        """Tell whether the rule concerns a call."""
        return (
            (self.path is None or self.path == call.path)
            and (self.user is None or self.user == call.user)
            and (self.campaign is None or self.campaign == call.campaign)
        )


class Rules:
    """The rules in force, first match first; safe to use from several threads."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = Lock()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, *rules: Rule) -> None:
        """Put rules behind those in force."""
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        """Let the project judge alone again."""
        with self._lock:
            self._rules.clear()

    def listed(self) -> list[Rule]:
        """List what is left."""
        with self._lock:
            return list(self._rules)

    def pick(self, call: Call) -> Rule | None:
        """Choose the rule for a call and count it off."""
        with self._lock:
            for index, rule in enumerate(self._rules):
                if not rule.matches(call):
                    continue
                if rule.skip > 0:
                    self._rules[index] = replace(rule, skip=rule.skip - 1)
                    continue
                self._count_off(index, rule)
                return rule
        return None

    def _count_off(self, index: int, rule: Rule) -> None:
        if rule.times == 1:
            del self._rules[index]
            return
        times = None if rule.times is None else rule.times - 1
        self._rules[index] = replace(rule, times=times, skip=rule.one_in - 1)


#: What a rule may be told in JSON, and as what.
_TYPES: Mapping[str, tuple[type, ...]] = {
    "user": (str,),
    "path": (str,),
    "campaign": (int,),
    "skip": (int,),
    "times": (int, type(None)),
    "one_in": (int,),
    "accepts": (bool,),
    "becomes": (str,),
    "delay_before": (int, float),
    "delay_after": (int, float),
    "reset": (str,),
    "drip_head": (int, float),
    "drip": (int, float),
    "padding": (int,),
    "fixture": (str,),
    "status": (int,),
    "headers": (dict,),
    "body": (object,),
    "body_text": (str,),
}
_ANSWER = {"status", "headers", "body", "body_text"}


def rule(settings: Mapping[str, Json]) -> Rule:
    """Make a rule of its JSON form.

    Args:
        settings: Fields of `Rule`, and either `fixture` (`s10`) or any of `status`,
            `headers`, `body` (JSON) and `body_text` for the answer.

    Raises:
        ValueError: Something in it is unknown or of the wrong kind.
    """
    _check(settings)
    fields: dict[str, Any] = {
        name: value
        for name, value in settings.items()
        if name not in _ANSWER and name != "fixture"
    }
    if "fixture" in settings:
        fields = fixture(settings["fixture"]) | fields
    elif settings.keys() & _ANSWER:
        fields["answer"] = _answer({"status": 200} | dict(settings))
    return Rule(**fields)


def fixture(name: str, folder: Path | None = None) -> dict[str, Any]:
    """Read what a sample of Iterable's answers says, as fields of a rule.

    Args:
        name: Its id, or the number before the first underscore: `s10`.
        folder: Where the samples are; those of the program by default.

    Raises:
        ValueError: There is none of that name, or it holds no answer.
    """
    folder = resources.samples() / "iterable" if folder is None else folder
    for path in sorted(folder.glob("*.json")):
        if name in (path.stem, path.stem.partition("_")[0]):
            return _played(name, json.loads(path.read_text(encoding="utf-8")))
    raise ValueError(f"there is no sample called {name}")


def _played(name: str, sample: Mapping[str, Json]) -> dict[str, Any]:
    if isinstance(sample.get("response"), dict):
        return {"answer": _answer(sample["response"])}
    if sample.get("transport") == "read_timeout":
        return {"delay_after": _NEVER}
    if sample.get("transport") == "connect_error":
        raise ValueError(f"{name} is a refused connection: stop the sandbox for that")
    raise ValueError(f"{name} holds no answer")


def _answer(response: Mapping[str, Json]) -> Answer:
    given = response.get("headers", {})
    headers = {name.lower(): str(text) for name, text in given.items()}
    content_type = headers.pop("content-type", None)
    if "body_text" in response:
        body = response["body_text"].encode()
        content_type = content_type or "text/plain"
    else:
        body = json.dumps(response["body"]).encode() if "body" in response else b""
    return Answer(response["status"], body, headers, content_type or JSON_TYPE)


def _check(settings: Mapping[str, Json]) -> None:
    for name, value in settings.items():
        types = _TYPES.get(name)
        if types is None:
            raise ValueError(f"{name} is unknown; known are {', '.join(_TYPES)}")
        is_number = (
            isinstance(value, bool) and bool not in types and object not in types
        )
        if is_number or not isinstance(value, types):
            raise ValueError(f"{name} is of the wrong kind")
    if settings.get("reset", "mid") not in get_args(Reset):
        raise ValueError(f"reset must be one of {', '.join(get_args(Reset))}")
    if settings.get("one_in", 1) < 1:
        raise ValueError("one_in must be 1 or more")
    if settings.get("status", 200) not in _STATUSES:
        raise ValueError("status must be from 200 to 599")


def rules_of(document: Json) -> Sequence[Rule]:
    """Make rules of one JSON form, or of a list of them.

    Raises:
        ValueError: It is neither, or one of them is wrong.
    """
    forms = document if isinstance(document, list) else [document]
    if not all(isinstance(form, dict) for form in forms):
        raise ValueError("must be an object, or a list of objects")
    return [rule(form) for form in forms]
