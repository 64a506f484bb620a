"""Log lines: an event name and its fields, as JSON or text on stderr.

Modules take a logger with `get(__name__)` and say `log.info("delivery.dead", …)`. Only
an entry point calls `configure`. What must not be logged is kept out where the line is
written; the redaction here is the net below that: a field that is not in `FIELDS` is
not shown, and secrets and e-mail addresses are masked everywhere, tracebacks included.
"""

import json
import logging
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Literal
from urllib.parse import quote

import structlog
from structlog.stdlib import ProcessorFormatter
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

#: The fields a line may show. None of them ever holds a body, a secret, an address, a
#: code or a vendor's text.
FIELDS = frozenset(
    """
    action address attempt attempt_no attempts by campaign_id circuit condition count
    deaths deleted deliver deliveries delivery_id depth destination done dropped
    endpoint event_id event_name event_type events exception expired failed failures how
    is_firing is_forced is_masked job_id keys kind level limit matched_by message_id
    method name outcome path pid processes reason receipts redacted rejected request_id
    result retry_in role route routes seconds skipped source stack state status stored
    trigger unmatched within workers
    """.split()  # noqa: SIM905 - a list would take 90 lines
)
HIDDEN = "[not shown]"

_HEAD = ("timestamp", "level", "logger", "event")
#: A shorter secret would be found inside ordinary words.
_MIN_SECRET = 6
#: An escape of JSON, which must not be cut in half, or a run of characters that an
#: e-mail address may consist of.
_WORD = re.compile(r"\\u[0-9a-f]{4}|\\.|[^\s\"'<>(),;:=/&?\[\]{}|\\]+")
#: Loggers of libraries and their least level: urllib3 logs query strings at DEBUG,
#: gunicorn logs every malformed request at WARNING.
_LIBRARIES = {
    "alembic": logging.WARNING,
    "gunicorn.access": logging.WARNING,
    "gunicorn.error": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "urllib3": logging.WARNING,
    "werkzeug": logging.WARNING,
}


def get(name: str) -> FilteringBoundLogger:
    """Return the logger of a module; usable before `configure`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def configure(
    level: str,
    format: Literal["json", "text"],  # noqa: A002 - the word of LOG_FORMAT
    *,
    secrets: Iterable[str] = (),
) -> None:
    """Send every log line of the process to stderr; a later call replaces this one.

    Args:
        level: `DEBUG`, `INFO`, `WARNING` or `ERROR`.
        format: One JSON object a line, or one line of text.
        secrets: Values masked wherever they appear, as they are or URL-encoded.
    """
    ending: list[Processor] = [
        *_BETWEEN,
        _as_json if format == "json" else _AS_TEXT,
        _Mask(secrets),
    ]
    _write_own(level, ending)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        ProcessorFormatter(
            foreign_pre_chain=_BEGINNING,
            processors=[ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    adopt(*_LIBRARIES)


def _write_own(level: str, ending: list[Processor]) -> None:
    """Write our own lines past stdlib logging: its records cost more than the line."""
    structlog.configure(
        processors=[*_BEGINNING, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Stderr,
        cache_logger_on_first_use=False,
    )


def adopt(*names: str) -> None:
    """Make a library's loggers write through the handler that `configure` made.

    Call it again after a library has set up its own handlers (gunicorn does).
    """
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask e-mail addresses and the given secrets in a text."""
    return _Mask(secrets).mask(text)


class _Mask:
    """The processor after the renderer: masks secrets and addresses in the line."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {
            form
            for secret in secrets
            if len(secret) >= _MIN_SECRET
            for form in (
                secret,
                _ENCODER.encode(secret)[1:-1],
                quote(secret, safe="", errors="replace"),
            )
        }
        # Longest first: a secret may begin with another.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _method: str, line: EventDict) -> str:
        return self.mask(str(line))

    def mask(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, "[secret]")
        if "@" in text or "%40" in text:
            text = _WORD.sub(_without_address, text)
        return text


def _without_address(word: re.Match[str]) -> str:
    text = word[0]
    is_address = text != "@" and ("@" in text or "%40" in text)
    return "[e-mail]" if is_address else text


def _arrange(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep what may be shown, in reading order."""
    line = {name: event.pop(name) for name in _HEAD}
    # What a library says is a sentence, perhaps of several lines.
    line["event"] = str(line["event"]).replace("\r", "\\r").replace("\n", "\\n")
    for name, value in event.items():
        line[name] = value if name in FIELDS else HIDDEN
    return line


class _Stderr:
    """Writes lines to what is stderr now; a full disk under it stops nothing."""

    def __init__(self, name: str = "bridge") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        with suppress(OSError):
            # One call a line, so that lines of several processes do not mix.
            sys.stderr.write(f"{line}\n")

    debug = info = warning = error = critical = msg


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return _ENCODER.encode(event)


_ENCODER = json.JSONEncoder(default=str, ensure_ascii=False)
_AS_TEXT = structlog.dev.ConsoleRenderer(colors=False, sort_keys=False, pad_event_to=0)
_BEGINNING: list[Processor] = [
    structlog.processors.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
_BETWEEN: list[Processor] = [structlog.processors.format_exc_info, _arrange]
# Until an entry point configures more, only warnings show.
_write_own("WARNING", [*_BETWEEN, _AS_TEXT, _Mask(())])
