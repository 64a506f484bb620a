"""What the rewritten template calls where Jinja's generated code would not ask us.

The names have brackets, so no template can type them.
"""

from collections.abc import Callable, Iterator

from jinja2 import Undefined

from bridge.rendering.budget import (
    EMPTY,
    Refusal,
    refuse_undefined,
    spend,
    spend_text,
    weigh,
    within,
)
from bridge.rendering.values import MadeDict, MadeList, word

EACH = "(each)"
GIVEN = "(given)"
MADE = "(made)"
TEXT = "(text)"
WEIGHED = "(weighed)"


def each(values: object) -> Iterator[object]:
    """Yield what a loop goes over, a step a pass."""
    if isinstance(values, Undefined):
        refuse_undefined(values)
    if values is None:
        raise Refusal(f"what the loop goes over {EMPTY}")
    for value in values:  # type: ignore[attr-defined]
        spend(1)
        yield value


def given(value: object) -> object:
    """Refuse an empty field beside a `~`: "Hello ," is an accident too."""
    if value is None or value == "":
        raise Refusal(f"a value beside `~` {EMPTY}")
    return value


def made(value: object) -> object:
    """Mark a list or an object as the template's own."""
    return MadeDict(value) if isinstance(value, dict) else MadeList(value)  # type: ignore[call-overload]


def text(*values: object) -> str:
    """Do the work of `~`: one text of several values."""
    words = [word(value) for value in values]
    spend_text(within(sum(map(len, words))))
    return "".join(words)


def weighed(value: object) -> object:
    """Take the steps of a comparison or a slice."""
    weigh(value)
    return value


FILTERS: dict[str, Callable[..., object]] = {
    EACH: each,
    GIVEN: given,
    MADE: made,
    TEXT: text,
    WEIGHED: weighed,
}
