"""Log lines: one event name and its fields, to stderr; sets up nothing by itself.

Modules take a logger with `get(__name__)` and say `log.info("delivery.dead", …)`. What
may not stand in a log is kept out where the line is written; the redaction here is the
net below that, for tracebacks and for what libraries say.
"""

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TextIO
from urllib.parse import quote

import structlog
from structlog.stdlib import BoundLogger
from structlog.typing import EventDict, Processor

#: Loggers of others, and the least level at which they are worth a line: alembic
#: announces its plugins, urllib3 at DEBUG writes query strings.
_OTHERS = {
    "alembic": logging.INFO,
    "alembic.runtime.plugins": logging.WARNING,
    "gunicorn.access": logging.INFO,
    "gunicorn.error": logging.INFO,
    "sqlalchemy": logging.WARNING,
    "urllib3": logging.WARNING,
    "werkzeug": logging.WARNING,
}
#: A shorter secret would be found inside ordinary words, and inside JSON's own.
_LEAST_SECRET = 6
#: A run of characters an address may consist of; `\u00e9` is one such character. Any
#: other escape is matched only to be stepped over: cut in half it would break the JSON.
_WORD = re.compile(r"(?:[^\s\"\\<>(),;:=/&?\[\]{}|]|\\u[0-9a-fA-F]{4})+|\\.", re.DOTALL)
#: What a field in a line of text may show without quotes.
_PLAIN = re.compile(r"[!#-<>-\[\]-~]+")
_ENCODER = json.JSONEncoder(default=str, skipkeys=True)


def get(name: str) -> BoundLogger:
    """Make the logger of a module; usable before `setup`, as stdlib loggers are."""
    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=_PROCESSORS,
        wrapper_class=BoundLogger,
        cache_logger_on_first_use=True,
    )
    return logger


def setup(
    level: str,
    format: Literal["json", "text"],  # noqa: A002 - the word of LOG_FORMAT
    secrets: Iterable[str] = (),
) -> None:
    """Send every log line of the process to stderr; a later call replaces this one.

    Args:
        level: `DEBUG`, `INFO`, `WARNING` or `ERROR`, of the bridge's own loggers.
        format: One JSON object a line, or one line of text.
        secrets: Values masked wherever they appear, as they are or escaped.

    References:
        https://docs.python.org/3/howto/logging.html#optimization
    """
    handler = _Stderr()
    formatter = _Formatter(_as_json if format == "json" else _as_text, _forms(secrets))
    handler.setFormatter(formatter)
    _PROCESSORS[-1] = partial(_write, formatter.line)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _OTHERS.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    adopt(*_OTHERS)
    structlog.configure(
        processors=_PROCESSORS,
        wrapper_class=BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # No line shows file, thread or process; finding them is a third of its cost.
    logging._srcfile = None  # noqa: SLF001 - the documented switch
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def adopt(*names: str) -> None:
    """Make loggers of others write through the handler that `setup` made.

    To be called again after a library has set up its own handlers (gunicorn does).
    """
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Mask e-mail addresses and the given secrets; linear, and JSON stays JSON."""
    return _mask(text, _forms(secrets))


def _forms(secrets: Iterable[str]) -> tuple[str, ...]:
    """List each secret as it may appear in a line: plain, in JSON, in a URL."""
    forms = set()
    for secret in secrets:
        if len(secret) >= _LEAST_SECRET:
            escaped = json.dumps(secret)[1:-1]
            # A value that is itself JSON, as in the text of an error, escapes twice.
            twice = json.dumps(escaped)[1:-1]
            forms |= {secret, escaped, twice, quote(secret, safe="", errors="replace")}
    # Longest first: a secret may begin with another.
    return tuple(sorted(forms, key=len, reverse=True))


def _mask(text: str, forms: tuple[str, ...]) -> str:
    for form in forms:
        if form in text:
            text = text.replace(form, "[secret]")
    if "@" in text or "%40" in text:
        text = _WORD.sub(_without_address, text)
    return text


def _without_address(word: re.Match[str]) -> str:
    text = word[0]
    is_address = text != "@" and ("@" in text or "%40" in text)
    return "[e-mail]" if is_address else text


def _hand_over(
    _logger: Any, _method: str, event: EventDict
) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Give stdlib logging the fields as they are; the formatter makes the line."""
    return (event,), {"exc_info": event.pop("exc_info", None)}


def _write(
    make: Callable[[float, str, str, dict[str, Any]], str],
    logger: logging.Logger,
    method: str,
    event: EventDict,
) -> tuple[tuple[EventDict], dict[str, Any]]:
    """Write our own line at once: stdlib's record and locks cost as much as the rest.

    A line with a traceback goes the long way, and so do all where somebody else listens
    too.

    Raises:
        structlog.DropEvent: The line is written; nothing is left to do.
    """
    if event.get("exc_info") or len(logging.root.handlers) != 1:
        return _hand_over(logger, method, event)
    event.pop("exc_info", None)
    fields = {"event": event.get("event"), **event}
    # A full disk under the log, or a reader that is gone, is no reason to stop working.
    with suppress(OSError):
        sys.stderr.write(make(time.time(), method, logger.name, fields) + "\n")
    raise structlog.DropEvent


#: Kept as one list, so that loggers cached before a second `setup` stay right. The last
#: makes the line; before `setup` it hands over to whatever stdlib logging does.
_PROCESSORS: list[Processor] = [structlog.stdlib.filter_by_level, _hand_over]


class _Formatter(logging.Formatter):
    """Makes one line of a record, our own or a library's."""

    def __init__(
        self, render: Callable[[dict[str, Any]], str], forms: tuple[str, ...]
    ) -> None:
        super().__init__()
        self._render = render
        self._forms = forms

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record.msg, dict):
            fields = {"event": record.msg.get("event"), **record.msg}
        else:
            fields = {"event": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self.formatException(record.exc_info)
        level = record.levelname.lower()
        return self.line(record.created, level, record.name, fields)

    def line(
        self, created: float, level: str, logger: str, fields: dict[str, Any]
    ) -> str:
        """Make the line; `created` is in seconds since 1970."""
        moment = datetime.fromtimestamp(created, UTC).isoformat(timespec="microseconds")
        head = {
            "timestamp": moment.replace("+00:00", "Z"),
            "level": level,
            "logger": logger,
        }
        return _mask(self._render({**head, **fields}), self._forms)


def _as_json(line: dict[str, Any]) -> str:
    return _ENCODER.encode(line)


def _as_text(line: dict[str, Any]) -> str:
    # What a library says is a sentence, perhaps of several lines.
    event = str(line.pop("event")).replace("\r", "\\r").replace("\n", "\\n")
    level = line.pop("level").upper()
    head = f"{line.pop('timestamp')} {level:7} {line.pop('logger')} {event}"
    trace = line.pop("exception", None)
    fields = "".join(f" {name}={_field(value)}" for name, value in line.items())
    return f"{head}{fields}" if trace is None else f"{head}{fields}\n{trace}"


def _field(value: object) -> str:
    text = value if isinstance(value, str) else _ENCODER.encode(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


class _Stderr(logging.StreamHandler[TextIO]):
    """Writes to what is stderr now, not to what was stderr at set-up."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)
