"""Whom a destination writes to: the route's rules applied to a message's customer.

Pure. Reasons never repeat the value: they are stored and logged. The limits of one
destination are checked by `Destination.check_recipient`.
"""

import re
from collections.abc import Callable, Sequence

from bridge.config import Lookup, RecipientRule
from bridge.errors import RecipientError
from bridge.model import Customer, Json, Recipient, UserId

#: What a mail server takes at most (RFC 5321), in characters.
MAX_EMAIL = 254
#: Longest user id kept, in characters; a destination may allow less.
MAX_USER_ID = 255

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
#: Replaces half a character in what the source sent.
_DAMAGED = "\ufffd"


def recipient_of(
    customer: Customer,
    rules: Sequence[RecipientRule],
    *,
    check: Callable[[Recipient], None] | None = None,
) -> Recipient:
    """Name the recipient by the first rule that yields one.

    Args:
        customer: As the source names them.
        rules: Of the route, in order.
        check: `Destination.check_recipient`, so that a name the destination would
            reject leaves it to the next rule; None where only the ledger asks.

    Raises:
        RecipientError: None does; the reason is the first rule's.
    """
    reasons = []
    for rule in rules:
        try:
            found = _by_rule(customer, rule)
            if check is not None:
                check(found)
            return found
        except RecipientError as error:
            reasons.append(error.reason)
    if not reasons:
        raise RecipientError("the route names no way to find a recipient")
    others = " (nor does another rule help)" if reasons[1:] else ""
    raise RecipientError(f"{reasons[0]}{others}")


def _by_rule(customer: Customer, rule: RecipientRule) -> Recipient:
    if isinstance(rule, Lookup):
        return Recipient(user_id=UserId(_looked_up(customer, rule)))
    if rule == "email":
        return Recipient(email=_email(customer.email, "the customer's e-mail address"))
    if rule == "source_id_as_email":
        return Recipient(email=_email(customer.source_id, "the source id"))
    return Recipient(user_id=_user_id(customer.source_id))


def _user_id(value: Json) -> UserId:
    """Read a source id as a user id; a whole number becomes its exact digits."""
    if value is None:
        raise RecipientError("the customer has no source id")
    text = _text(value)
    if text is None:
        raise RecipientError("the source id is neither a text nor a whole number")
    if _DAMAGED in text or not text.isprintable():
        raise RecipientError("the source id has characters that cannot be sent")
    if not text.strip() or len(text) > MAX_USER_ID:
        raise RecipientError(f"the source id has not 1 to {MAX_USER_ID} characters")
    return UserId(text)


def _looked_up(customer: Customer, lookup: Lookup) -> str:
    for value in (customer.source_id, customer.email):
        text = _text(value)
        found = None if text is None else lookup.find(text)
        if found is not None:
            return found
    raise RecipientError(
        f"neither the customer's source id nor e-mail is in {lookup.path.name}"
    )


def _email(value: Json, name: str) -> str:
    if value is None:
        raise RecipientError(f"{name} is missing")
    text = value.strip() if isinstance(value, str) else ""
    is_plausible = _EMAIL.fullmatch(text) is not None and text.isprintable()
    if not is_plausible or _DAMAGED in text or len(text) > MAX_EMAIL:
        raise RecipientError(f"{name} is no e-mail address")
    return text


def _text(value: Json) -> str | None:
    """Write a text or a whole number as it is; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value)
