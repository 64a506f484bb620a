"""Whom Iterable shall write to: the route's rules applied to a reward.

Pure. Reasons never repeat the value: they are stored and logged.
"""

import re
from collections.abc import Sequence

from bridge.config import Lookup, RecipientRule
from bridge.errors import RecipientError
from bridge.model import Json, Recipient, Reward, UserId
from bridge.voucherify import is_absent

#: Iterable's own limit, in characters.
MAX_USER_ID = 52
#: What a mail server takes at most (RFC 5321), in characters.
MAX_EMAIL = 254

_PRINTABLE_ASCII = re.compile(r"[ -~]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
#: Iterable gives profiles without an address one of these; it never receives mail.
_NO_MAIL = "@placeholder.email"


def recipient(reward: Reward, rules: Sequence[RecipientRule]) -> Recipient:
    """Name the recipient by the first rule that yields one.

    Raises:
        RecipientError: None does; the reason is the first rule's.
    """
    reasons = []
    for rule in rules:
        try:
            return _by_rule(reward, rule)
        except RecipientError as error:
            reasons.append(error.reason)
    if not reasons:
        raise RecipientError("the route names no way to find a recipient")
    others = " (nor does another rule help)" if reasons[1:] else ""
    raise RecipientError(f"{reasons[0]}{others}")


def user_id(value: Json) -> UserId | None:
    """Read a value as Iterable's `userId`, None where it stands for nothing.

    A whole number becomes its exact digits.

    Raises:
        RecipientError: Iterable would refuse it.

    References:
        Iterable's API reference, `recipientUserId` of `POST /api/email/target`.
    """
    if is_absent(value):
        return None
    text = _text(value)
    if text is None:
        raise RecipientError("the user id is neither a text nor a whole number")
    if len(text) > MAX_USER_ID:
        raise RecipientError(f"the user id has more than {MAX_USER_ID} characters")
    if _PRINTABLE_ASCII.fullmatch(text) is None:
        raise RecipientError("the user id has characters beyond printable ASCII")
    if text.endswith(" "):
        raise RecipientError("the user id ends in a blank")
    return UserId(text)


def _by_rule(reward: Reward, rule: RecipientRule) -> Recipient:
    if rule == "email":
        return Recipient(email=_email(reward.email))
    found = _looked_up(reward, rule) if isinstance(rule, Lookup) else reward.source_id
    name = user_id(found)
    if name is None:
        raise RecipientError("the customer has no source id")
    return Recipient(user_id=name)


def _looked_up(reward: Reward, lookup: Lookup) -> str:
    for value in (reward.source_id, reward.email):
        text = None if is_absent(value) else _text(value)
        if text is not None and text.strip() in lookup.table:
            return lookup.table[text.strip()]
    raise RecipientError(
        f"neither the customer's source id nor e-mail is in {lookup.path.name}"
    )


def _email(value: Json) -> str:
    if is_absent(value):
        raise RecipientError("the customer has no e-mail address")
    text = value.strip() if isinstance(value, str) else ""
    is_plausible = _EMAIL.fullmatch(text) is not None and text.isprintable()
    if not is_plausible or len(text) > MAX_EMAIL:
        raise RecipientError("the e-mail is no e-mail address")
    if text.lower().endswith(_NO_MAIL):
        raise RecipientError("the e-mail address is a stand-in that receives no mail")
    return text


def _text(value: Json) -> str | None:
    """Write a text or a whole number as it stands; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    return str(value)
