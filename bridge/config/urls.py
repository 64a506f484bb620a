"""What is wrong with a URL of the environment, without showing any part of it.

A URL may have a password in it, and a password that is not written as URLs want it may
be taken for any other part: so messages name characters and rules, never the value.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SCHEMES = ("postgres", "postgresql", "postgresql+psycopg", "sqlite")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ENCODE = (
    "the user or password has a character that must be percent-encoded: "
    "@ is %40, # is %23, / is %2F, ? is %3F, [ is %5B, ] is %5D, % is %25"
)


def is_loopback(url: str) -> bool:
    """Tell whether a URL leads to this machine only."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def url_fault(url: str) -> str | None:
    """Say why a URL names no server that may be called; None where it does."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL: its host or port cannot be read"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "is not a URL: it has characters that are not allowed in one"
    if "@" in parts.netloc:
        return "must not have a user or a password in it"
    if parts.scheme not in ("http", "https") or not _is_host(parts.hostname or ""):
        return "is not a URL such as https://host"
    if not (url.startswith("https:") or is_loopback(url)):
        return "must be https, or loopback"
    return None


def base_url_fault(url: str) -> str | None:
    """Say why a URL cannot be the base of a vendor's API; None where it can."""
    fault = url_fault(url)
    if fault is None and ("?" in url or "#" in url):
        return "must end with the host or a path"
    if fault is None and url.rstrip("/").endswith("/api"):
        return "ends in /api: leave that out, the bridge adds it"
    return fault


def database_fault(url: str) -> str | None:
    """Say why a database URL cannot be read; None where it can.

    Whether PostgreSQL knows its parameters is checked where it is opened.
    """
    scheme = url.partition(":")[0].lower()
    if not url.isprintable():
        return "has characters that are not allowed in a URL"
    if scheme not in _SCHEMES or "://" not in url:
        return "must begin with sqlite:/// or postgresql://"
    return _sqlite_fault(url) if scheme == "sqlite" else _postgres_fault(url)


def _postgres_fault(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return _ENCODE
    is_split_wrongly = url.count("@") > 1 or "@" in parts.path + parts.query
    if is_split_wrongly or "#" in url or _BAD_PERCENT.search(url):
        return _ENCODE
    try:
        _ = parts.port
    except ValueError:
        return f"its port is no number, or {_ENCODE}"
    return None


def _sqlite_fault(url: str) -> str | None:
    path = url.partition("://")[2]
    if path in ("", "/") or ":memory:" in path:
        return "must name a file, such as sqlite:///bridge.db"
    if not path.startswith("/"):
        return "needs three slashes before its file: sqlite:///bridge.db"
    return "takes no parameters: remove what follows ?" if "?" in path else None


def absolute_database_url(url: str, folder: Path) -> str:
    """Make the path of a SQLite file absolute: relative ones are below a folder."""
    scheme, _, path = url.partition("://")
    if scheme.lower() != "sqlite":
        return url
    return f"sqlite:///{folder.resolve() / path.removeprefix('/')}"


def header_fault(value: str) -> str | None:
    """Say why a header cannot carry a value; None where it can."""
    if value.isascii() and value.isprintable():
        return None
    return "has characters that no HTTP header can carry"


def _is_host(name: str) -> bool:
    labels = name.removesuffix(".").split(".")
    if all(_LABEL.fullmatch(label) for label in labels):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
