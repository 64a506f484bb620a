"""`config.yaml` as plain data, and what is wrong with it: setting, line, what to do.

PyYAML and marshmallow say that something is wrong; this module says it so that the
reader need not know either.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from bridge.config.schema import Schema, ValidationError, fields
from bridge.errors import ConfigError, Problem

#: A place in the file: ("routes", 0, "name").
Place = tuple[str | int, ...]

#: No setting is larger; what is, cannot even be written in a message.
_LARGEST = 2**64
#: What PyYAML lets out while it makes a date, a number or a truth value of a text.
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
#: Words of PyYAML's parser, and the reader's.
_YAML_WORDS: tuple[tuple[str, str], ...] = (
    (r"found character '\\t'", "a tab: indent with spaces only"),
    (
        r"undefined alias|scanning an (alias|anchor)",
        'a text that begins with * or & must be in quotes, such as "*Refer*"',
    ),
    (
        r"expected <block end>|could not find expected ':'",
        "this line does not fit the lines above: compare their indentation",
    ),
    (
        r"mapping values are not allowed",
        "a colon where none is expected: put the text in quotes, "
        "or compare the indentation with the line above",
    ),
    (
        r"flow (sequence|mapping|node)|quoted scalar",
        "a bracket, brace or quote that begins here or above is not closed, or a comma "
        "is missing",
    ),
    (r"expected a single document", "a second document begins: remove the line ---"),
    (
        r"could not determine a constructor|cannot start any token|directive",
        "a text with a special character must be in quotes",
    ),
)
#: marshmallow's sentences, and ours.
_WORDS: Mapping[str, str] = {
    "Missing data for required field.": "is needed",
    "Not a valid string.": "must be a text",
    "Not a valid boolean.": "must be true or false, without quotes",
    "Not a valid mapping type.": "must have settings below it",
    "Invalid input type.": "must have settings below it",
    "Not a valid integer.": "must be a whole number",
    "Not a valid number.": "must be a number",
    "Not a valid list.": "must be a list",
    "Shorter than minimum length 1.": "must not be empty",
}
_NUMBERS = ("Not a valid integer.", "Not a valid number.")
_LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """`config.yaml` as plain data, and the line of each setting."""

    data: dict[str, Any]
    lines: dict[Place, int]

    def line(self, place: Place) -> int:
        """Return a setting's line, or that of what it belongs to; from 1."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read(path: Path) -> File:
    """Read the file.

    Raises:
        ConfigError: With the one problem that keeps it from being read.
    """
    try:
        loader = _Loader(path.read_text(encoding="utf-8-sig"))
        node = loader.get_single_node()
        if isinstance(node, yaml.MappingNode):
            data = loader.construct_document(node)
            return File(data=data, lines=dict(_lines(node, ())))
        reason = "must have settings such as `routes:`"
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        if isinstance(error, FileNotFoundError):
            reason += "; make one with `reward-bridge init`"
    except yaml.MarkedYAMLError as error:
        reason = _plain(error)
    except yaml.YAMLError:
        reason = "a character in it is not allowed in YAML"
    except RecursionError:
        reason = "is nested too deeply"
    raise ConfigError([Problem(str(path), reason)]) from None


def _lines(node: yaml.Node, place: Place) -> Iterator[tuple[Place, int]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*place, str(key.value))
            yield below, key.start_mark.line + 1
            yield from _lines(value, below)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*place, index), value.start_mark.line + 1
            yield from _lines(value, (*place, index))


def _plain(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = "" if mark is None else f"line {mark.line + 1}: "
    said = ", ".join(filter(None, (error.context, error.problem)))
    found = (plain for words, plain in _YAML_WORDS if re.search(words, said))
    return where + next(found, said)


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML would guess at: keys given twice, values of no type."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"`{key.value}` is here a second time (first in line "
                    problem += f"{seen[key.value]})"
                    raise ComposerError(None, None, problem, key.start_mark)
                seen[key.value] = key.start_mark.line + 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            made = super().construct_object(node, deep)
        except _UNFIT:
            kind = node.tag.rpartition(":")[2]
            problem = f"this looks like a {kind} and is none: put it in quotes"
            raise ConstructorError(None, None, problem, node.start_mark) from None
        if isinstance(made, int) and abs(made) >= _LARGEST:
            problem = "the number is too large"
            raise ConstructorError(None, None, problem, node.start_mark)
        return made


class Problems:
    """Collects problems and names each by setting, line and route."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._found: list[tuple[int, Problem]] = []

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: Place, message: str) -> None:
        """Add a problem with a setting."""
        line = self._file.line(place)
        shown = ".".join(map(str, place)) or "file"
        name = self._route_name(place)
        where = f"line {line}" if name is None else f"route {name} (line {line})"
        self._found.append((line, Problem(shown, f"{where}: {message}")))

    def all(self) -> list[Problem]:
        """List the problems in the order of the file."""
        return [one for _, one in sorted(self._found, key=lambda pair: pair[0])]

    def load(self, schema: Schema, raw: Any, place: Place) -> Any:
        """Load a part of the file by its schema; None where it has problems."""
        try:
            return schema.load(raw)
        except ValidationError as error:
            for below, message in _sentences(error.messages, raw, schema):
                self.add((*place, *below), message)
            return None

    def take_renamed(self, raw: Any, renamed: Mapping[str, str], place: Place) -> Any:
        """Report settings of the past and return the rest."""
        if not isinstance(raw, dict):
            return raw
        for old in (name for name in raw if name in renamed):
            self.add((*place, old), f"`{old}` {renamed[old]}")
        return {name: value for name, value in raw.items() if name not in renamed}

    def _route_name(self, place: Place) -> str | None:
        match place:
            case ("routes", int(index), *_):
                route = self._file.data["routes"][index]
                name = route.get("name") if isinstance(route, dict) else None
                return f'"{name}"' if isinstance(name, str) else str(index + 1)
            case _:
                return None


def nearest(word: str, known: list[str]) -> str:
    """Suggest the word that was perhaps meant; "" where there is none."""
    found = get_close_matches(word, known, n=1)
    return f". Did you mean `{found[0]}`?" if found else ""


def _sentences(
    messages: Any, raw: Any, schema: Schema | None
) -> Iterator[tuple[Place, str]]:
    """Walk marshmallow's tree of errors beside the data and the schema."""
    for key, below in messages.items():
        value, field = _value(raw, key), _fields(schema).get(key)
        if key == "_schema":
            yield from (((), _WORDS.get(one, one)) for one in below)
        elif isinstance(below, dict) and set(below) <= {"key", "value"}:
            # A Dict's: the error is about the key or its value.
            for text in (text for texts in below.values() for text in texts):
                yield (key,), _sentence(text, key, value, field, schema)
        elif isinstance(below, dict):
            for place, text in _sentences(below, value, _schema_of(field)):
                yield (key, *place), text
        else:
            for text in below:
                yield (key,), _sentence(text, key, value, field, schema)


def _sentence(
    text: str, key: str | int, value: Any, field: Any, schema: Schema | None
) -> str:
    if text == "Unknown field.":
        return _unknown(str(key), schema)
    if text == "Field may not be null.":
        has_settings = isinstance(field, fields.Nested | fields.List | fields.Dict)
        what = "indent what belongs to it" if has_settings else "write its value"
        return f"`{key}:` is empty: {what}, or remove the line"
    if text.startswith("Must be one of: "):
        known = text.removeprefix("Must be one of: ").rstrip(".").split(", ")
        return f"must be one of {', '.join(known)}{nearest(str(value), known)}"
    words = _WORDS.get(text, text).rstrip(".")
    return words[0].lower() + words[1:] + _hint(text, key, value)


def _hint(text: str, key: str | int, value: Any) -> str:
    """Show how a value of the wrong type would be right."""
    if text in _NUMBERS and re.fullmatch(r"\d+(\.\d+)?", str(value)):
        is_quoted = isinstance(value, str)
        return f": write it without quotes, `{key}: {value}`" if is_quoted else ""
    is_short = isinstance(value, str) and len(value) < _LONGEST_SHOWN
    if text == "Not a valid list." and is_short:
        return f": `{key}: [{value}]`"
    return ""


def _unknown(key: str, schema: Schema | None) -> str:
    for name, field in _fields(schema).items():
        if key in _fields(_schema_of(field)):
            return f"`{key}` belongs to `{name}`: indent it below `{name}:`"
    return f"there is no setting `{key}`{nearest(key, [*_fields(schema)])}"


def _fields(schema: Schema | None) -> dict[str, Any]:
    known = schema.fields if schema else {}
    return {field.data_key or name: field for name, field in known.items()}


def _value(raw: Any, key: Any) -> Any:
    try:
        return raw[key]
    except (TypeError, LookupError):
        return None


def _schema_of(field: Any) -> Schema | None:
    return field.schema if isinstance(field, fields.Nested) else None
