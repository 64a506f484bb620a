"""Whose turn it is to do what only one process at a time shall do."""

from datetime import timedelta

from sqlalchemy import bindparam, or_
from sqlalchemy.dialects.postgresql import insert

from bridge.store.database import Tx
from bridge.store.schema import turns

_new = insert(turns)
_TAKE = _new.on_conflict_do_update(
    index_elements=[turns.c.name],
    set_={"holder": _new.excluded.holder, "until": _new.excluded.until},
    where=or_(
        turns.c.until <= bindparam("now", type_=turns.c.until.type),
        turns.c.holder == _new.excluded.holder,
    ),
).execution_options(preserve_rowcount=True)


def take_turn(tx: Tx, name: str, holder: str, span: timedelta) -> bool:
    """Take a turn that is free or over, or keep one's own for longer.

    Args:
        tx: The transaction.
        name: Of the chore.
        holder: Who asks; one process uses one name.
        span: How long the turn lasts unless it is kept.

    Returns:
        False where somebody else has it.
    """
    values = {"name": name, "holder": holder, "until": tx.now + span, "now": tx.now}
    return tx.connection.execute(_TAKE, values).rowcount == 1
