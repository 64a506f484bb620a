"""The file as plain data, or one problem that says where it is none."""

from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from bridge.errors import ConfigError, Problem

#: No setting is larger; what is, cannot even be written in a message.
_LARGEST = 2**64
#: What PyYAML lets out while it makes a date, a number or a truth value of a text.
_UNFIT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def read(path: Path) -> dict[str, Any]:
    """Read the file's sections.

    Raises:
        ConfigError: With the one problem that keeps it from being looked at.
    """
    try:
        # Safe: the loader below is PyYAML's safe one, narrowed.
        found = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506
    except UnicodeDecodeError:
        reason = "is not UTF-8 text"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except yaml.MarkedYAMLError as error:
        reason = f"cannot be read{_where(error)}: {_what(error)}"
    except yaml.YAMLError:
        reason = "cannot be read: a character in it may not stand in YAML"
    except RecursionError:
        reason = "cannot be read: it is nested too deeply"
    else:
        if isinstance(found, dict):
            return found
        reason = "must be a mapping of sections"
    raise ConfigError([Problem(str(path), reason)]) from None


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML would guess at: keys given twice, values that are none."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"{key.value!r} stands here a second time"
                    raise ComposerError(None, None, problem, key.start_mark)
                seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            made = super().construct_object(node, deep)
        except _UNFIT:
            kind = node.tag.rpartition(":")[2]
            problem = f"this looks like YAML's {kind} and is none; put it in quotes"
            raise ConstructorError(None, None, problem, node.start_mark) from None
        if isinstance(made, int) and abs(made) >= _LARGEST:
            problem = "the number is too large"
            raise ConstructorError(None, None, problem, node.start_mark)
        return made


def _where(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return "" if mark is None else f" at line {mark.line + 1}"


def _what(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(filter(None, (error.context, error.problem)))
