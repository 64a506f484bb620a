"""Named leases: which process does a chore of which one is enough; heartbeats."""

from datetime import timedelta

from sqlalchemy import bindparam, delete, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from bridge.store.database import Transaction
from bridge.store.schema import leases

#: Seconds between two heartbeats of a worker; the caller keeps the time.
BEAT_EVERY = 5.0
#: How long a heartbeat counts.
_ALIVE_FOR = timedelta(seconds=15)
_WORKER = "worker:"

# PostgreSQL's form of an upsert, which SQLite understands as well.
_new = insert(leases)
_ACQUIRE = _new.on_conflict_do_update(
    index_elements=[leases.c.name],
    set_={"owner": _new.excluded.owner, "expires_at": _new.excluded.expires_at},
    where=or_(
        leases.c.expires_at <= bindparam("now", type_=leases.c.expires_at.type),
        leases.c.owner == _new.excluded.owner,
    ),
).execution_options(preserve_rowcount=True)
_is_worker = leases.c.name.startswith(_WORKER, autoescape=True)


def acquire(tx: Transaction, name: str, owner: str, span: timedelta) -> bool:
    """Take a lease that is free or expired, or renew one's own.

    Args:
        tx: The transaction.
        name: Of the chore.
        owner: Who asks; one process uses one name.
        span: How long the lease holds unless it is renewed.

    Returns:
        False where another owner has it.
    """
    row = {"name": name, "owner": owner, "expires_at": tx.now + span, "now": tx.now}
    return tx.connection.execute(_ACQUIRE, row).rowcount == 1


def beat(tx: Transaction, worker_id: str) -> None:
    """Note that a worker is alive; forget those that have not been for long."""
    is_over = leases.c.expires_at <= tx.now
    tx.connection.execute(delete(leases).where(_is_worker, is_over))
    acquire(tx, _WORKER + worker_id, worker_id, _ALIVE_FOR)


def deregister(tx: Transaction, worker_id: str) -> None:
    """Forget a worker that ends."""
    tx.connection.execute(delete(leases).where(leases.c.name == _WORKER + worker_id))


def count_workers(tx: Transaction) -> int:
    """Count the workers that are alive."""
    alive = select(func.count()).select_from(leases)
    alive = alive.where(_is_worker, leases.c.expires_at > tx.now)
    return tx.connection.execute(alive).scalar() or 0
