"""Sessions of the console, and the random key that signs its cookies."""

from datetime import datetime, timedelta
from hashlib import sha256
from secrets import token_urlsafe

from sqlalchemy import delete, insert, select

from bridge.store.database import Transaction
from bridge.store.schema import console_sessions

#: Row that holds the key instead of a session.
_KEY = "signing-key"
_FOREVER = timedelta(days=36_500)


def signing_key(tx: Transaction) -> str | None:
    """Read the installation's key; None where it was never made."""
    return tx.connection.scalar(
        select(console_sessions.c.fingerprint).where(console_sessions.c.id == _KEY)
    )


def make_signing_key(tx: Transaction) -> str:
    """Return the installation's key, making it where it is missing."""
    known = signing_key(tx)
    if known is not None:
        return known
    made = token_urlsafe(32)
    row = {"id": _KEY, "fingerprint": made, "ends_at": tx.now + _FOREVER}
    tx.connection.execute(insert(console_sessions).values(row))
    return made


def begin(tx: Transaction, fingerprint: str, ends_at: datetime) -> str:
    """Begin a session, and delete those that have ended.

    Args:
        tx: The transaction.
        fingerprint: Of the password in use; another password ends the session.
        ends_at: The absolute end.

    Returns:
        The session's token, of which the ledger keeps a hash.
    """
    ended = console_sessions.c.ends_at <= tx.now
    tx.connection.execute(delete(console_sessions).where(ended))
    token = token_urlsafe(32)
    row = {"id": _hash(token), "fingerprint": fingerprint, "ends_at": ends_at}
    tx.connection.execute(insert(console_sessions).values(row))
    return token


def is_valid(tx: Transaction, token: str, fingerprint: str) -> bool:
    """Tell whether a session is in force."""
    found = select(console_sessions.c.id).where(
        console_sessions.c.id == _hash(token),
        console_sessions.c.fingerprint == fingerprint,
        console_sessions.c.ends_at > tx.now,
    )
    return tx.connection.scalar(found) is not None


def end(tx: Transaction, token: str) -> None:
    """End a session, in every process and for every copy of its cookie."""
    own = console_sessions.c.id == _hash(token)
    tx.connection.execute(delete(console_sessions).where(own))


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
