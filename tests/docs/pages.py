"""README and docs as tests read them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def page(name: str) -> str:
    return text(ROOT / "docs" / name)


def prose(path: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", text(path))


def blocks(source: str, info: str) -> list[str]:
    """Return the code blocks with this info string."""
    return re.findall(rf"^```{info}\n(.*?)^```$", source, re.MULTILINE | re.DOTALL)


def rows(source: str, columns: int) -> list[list[str]]:
    """Return the cells of all table rows with so many columns, heads included."""
    lines = [line for line in source.splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line.strip()[1:-1]) for line in lines]
    return [
        [cell.strip().replace("\\|", "|") for cell in row]
        for row in cells
        if len(row) == columns
    ]
