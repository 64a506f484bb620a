"""What one rendering may spend, and the words it may use about a failure.

Steps are counted, not seconds: the same template and webhook end the same way on
every machine, however busy it is.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from jinja2 import Undefined

from bridge.errors import BridgeError
from bridge.model import Json, Recipient

#: Steps of one rendering: a pass of a loop, a filter, an item looked at. The shipped
#: templates take about thirty; all of them are gone in well under a second.
STEPS = 100_000
#: Characters that cost one step to write out, and one step to work on.
TEXT_STEP, WORK_STEP = 128, 16
#: Longest text a filter, an operator or a method takes or makes, in characters.
MAX_TEXT = 100_000
#: Longest payload, in characters while rendering and in bytes when sent; the most that
#: integrations known to work send in one call.
MAX_OUTPUT = 4_000_000
#: Macros inside macros; Python itself gives up at about two hundred.
MAX_DEPTH = 50

EMPTY = "is empty; say `| optional` or `| default(…, true)` if that may be"


class Refusal(BridgeError):  # noqa: N818 - a rule, not a mistake of ours
    """A template asked for what it may not have.

    The reason says nothing that is not in the template's own text, or in this package.
    """


@dataclass(slots=True)
class Run:
    """One rendering in progress."""

    #: The template's own text: what stands there may be quoted in a reason.
    source: str
    context: dict[str, Json]
    endpoint: str
    recipient: Recipient
    #: The route's campaign; None where the body names it.
    campaign_id: int | None
    steps: int = STEPS
    depth: int = 0
    #: Keys that `passthrough` left out.
    dropped: int = 0

    def owner(self, value: object) -> str | None:
        """Name an object of the context, to say that it lacks something."""
        return next((name for name, one in self.context.items() if one is value), None)

    def shown(self, word: object) -> str:
        """Quote a name if the template itself has it: it may be somebody's address."""
        text = str(word)
        return f"`{text}`" if text and text in self.source else "a computed name"


_RUN: ContextVar[Run] = ContextVar("run")


def current() -> Run:
    """Return the rendering in progress in this thread."""
    return _RUN.get()


@contextmanager
def running(run: Run) -> Iterator[Run]:
    """Make a rendering the one in progress."""
    token = _RUN.set(run)
    try:
        yield run
    finally:
        _RUN.reset(token)


def spend(steps: int) -> None:
    """Take steps from the rendering in progress.

    Raises:
        Refusal: None are left.
    """
    run = _RUN.get()
    run.steps -= steps
    if run.steps < 0:
        raise Refusal(f"the template takes more than {STEPS:,} steps")


def spend_text(length: int) -> None:
    """Take the steps that writing so many characters costs."""
    spend(1 + length // TEXT_STEP)


def within(length: int, limit: int = MAX_TEXT) -> int:
    """Return a text's length if it is allowed.

    Raises:
        Refusal: It is not.
    """
    if length > limit:
        raise Refusal(f"a text grows beyond {limit:,} characters")
    return length


def weigh(value: object) -> int:
    """Take the steps of a look at a whole value and return its size.

    Returns:
        Characters of a text, else the number of values in it, itself included.

    Raises:
        Refusal: It is too large.
        UndefinedError: It is undefined, or something in it is.
    """
    if isinstance(value, str):
        spend(1 + within(len(value)) // WORK_STEP)
        return len(value)
    return sum(1 for _ in descend(value))


def descend(value: object) -> Iterator[tuple[object, object]]:
    """Walk a value and all in it, as (its holder or None, it), taking steps.

    What stands in several places counts in each: a list of itself twice, twenty times
    over, is a million items once written out. Steps are taken before items are listed.
    """
    waiting: list[tuple[object, object]] = [(None, value)]
    while waiting:
        holder, node = waiting.pop()
        if isinstance(node, str):
            spend_text(len(node))
        elif isinstance(node, dict):
            spend(1 + len(node))
            spend_text(sum(len(key) for key in node if isinstance(key, str)))
            waiting += [(node, child) for child in node.values()]
        elif isinstance(node, list | tuple | range):
            spend(1 + len(node))
            waiting += [(node, child) for child in node]
        elif isinstance(node, Undefined):
            refuse_undefined(node)
        else:
            spend(1)
        yield holder, node


def refuse_undefined(value: Undefined) -> None:
    """Raise what the undefined value has to say.

    Raises:
        UndefinedError: Always, for a strict one.
        Refusal: For the one kind that Jinja keeps lenient.
    """
    str(value)
    raise Refusal("an `if` without `else` came to nothing")
