"""`make lint`: words that this project has replaced by the field's own terms.

One word for each thing, in code, tables, logs, console and docs alike. A file that has
to name an old setting, so that its user learns the new one, is listed below.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLACES = (
    *("bridge", "docs", "templates", "ops", "benchmarks", "tests"),
    *("README.md", "pyproject.toml", "Makefile", "config.example.yaml", "app.json"),
)
SUFFIXES = {
    *(".py", ".md", ".html", ".css", ".js", ".j2", ""),
    *(".yaml", ".yml", ".json", ".toml"),
}
#: The old word, and what it is now.
REPLACED = {
    r"doors?|drop-in": "endpoint",
    r"gates?|gatekeeper": "circuit breaker",
    r"told|tellings?|made known": "sent, delivered, notified",
    r"deeds?": "audit entry",
    r"turned away|takes nobody": "reject",
    r"stand-ins?": "sandbox, pseudonym",
    r"steering": "operations",
    r"lookout": "stats",
    r"coordinator": "scheduler",
    r"doubting|(?<![Ii]n[ _-])doubts?": "in doubt, unknown outcome",
    r"narrowed|narrowing|widened": "half-open trial",
    r"weighing|tidings": "matching",
    r"retiring|forgetting": "retention, erasure",
    r"mending": "operator actions",
    r"keyring|leaps|glance|sendings": "idempotency, clock skew, overview, …",
    r"formerly|not_within|per_customer": "previous_names, min_validity, …",
    r"blank_after|remove_after|unknown_user_grace": "redact_after, delete_after, …",
    r"upstream_failures|oldest_due": "consecutive_webhook_failures, max_queue_age",
    r"FATE|BECAME": "OUTCOME, STATUS",
}
#: Places that name old settings on purpose, or hold files of others.
ALLOWED = {
    "bridge/config/schema.py": "old settings, with the message that says the new one",
    "bridge/captures/document.py": "the old key of a capture, with such a message",
    "tests/words.py": "this list",
    "tests/config/test_problems.py": "old settings and their messages",
    "tests/captures/test_captures.py": "the old key of a capture and its message",
    "tests/product/test_configuration.py": "old settings and their messages",
}


def found(path: Path) -> list[str]:
    """List the replaced words of a file, each with its line."""
    name = path.relative_to(ROOT).as_posix()
    if name in ALLOWED or path.suffix not in SUFFIXES:
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [
        f"{name}:{number}: “{match[0]}” is now: {new}"
        for number, line in enumerate(lines, start=1)
        for old, new in REPLACED.items()
        for match in re.finditer(rf"(?<![\w.])(?:{old})(?![\w])", line)
    ]


def main() -> int:
    """Print every replaced word; the exit code is 1 if there is one."""
    paths = [
        path
        for place in PLACES
        for path in sorted([ROOT / place, *(ROOT / place).rglob("*")])
        if path.is_file() and "__pycache__" not in path.parts
    ]
    lines = [line for path in paths for line in found(path)]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
