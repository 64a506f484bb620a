"""Prints the lowest version of each dependency that pyproject.toml declares.

As constraints for pip: `make floors` runs the tests of the program with them.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

_FLOOR = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?>=(?P<version>[^;,\s]+)")


def floors(project: dict[str, Any]) -> list[str]:
    """List `name==version` of what the program itself needs, extra `postgres` too."""
    declared = [*project["dependencies"], *project["optional-dependencies"]["postgres"]]
    found = (_FLOOR.match(one) for one in declared)
    return [f"{one['name']}=={one['version']}" for one in found if one]


if __name__ == "__main__":
    document = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(floors(document["project"])) + "\n")
