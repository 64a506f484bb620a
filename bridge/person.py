"""Who somebody is: every name one person has, learnt from what webhooks say. Pure."""

import json
import re
from dataclasses import dataclass, replace

from bridge.voucherify import Mention

#: Least bytes of a name that is looked for in any text.
_LEAST_WORD = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Every name under which the ledger may know somebody."""

    source_ids: frozenset[str] = frozenset()
    #: In lower case.
    emails: frozenset[str] = frozenset()
    customer_ids: frozenset[str] = frozenset()
    #: Addresses seen beside those names; others may share them, so they find nothing.
    own_emails: frozenset[str] = frozenset()
    #: What look-up files make of the names.
    looked_up: frozenset[str] = frozenset()

    @property
    def every_email(self) -> frozenset[str]:
        """Name the addresses asked for, and those seen beside the other names."""
        return self.emails | self.own_emails

    @property
    def names(self) -> frozenset[str]:
        """Name what deliveries to this person stand under."""
        asked = self.source_ids | self.emails
        return asked | self.customer_ids | self.looked_up

    def is_meant(self, mention: Mention) -> bool:
        """Tell whether a mention is of this person."""
        return not (
            self.source_ids.isdisjoint(mention.source_ids)
            and self.emails.isdisjoint(mention.emails)
            and self.customer_ids.isdisjoint(mention.customer_ids)
        )

    def needles(self) -> list[bytes]:
        """Make what a body that names the person must contain, in lower case."""
        found = set()
        for name in self.source_ids | self.emails | self.customer_ids:
            escaped = json.dumps(name)[1:-1].encode()
            plain = name.encode("utf-8", "surrogatepass")
            found |= {
                plain.lower(),
                escaped.lower(),
                escaped.lower().replace(b"/", rb"\/"),
            }
        return sorted(found)

    def is_written_in(self, text: bytes) -> bool:
        """Tell whether a text in lower case has one of the names as a word of its own.

        For what is no JSON, or has a name where nobody looks for one. Short names are
        too often numbers or words of something else.
        """
        names = self.source_ids | self.emails | self.customer_ids
        return any(
            re.search(rb"(?<![a-z0-9])" + re.escape(name) + rb"(?![a-z0-9])", text)
            for name in (one.encode("utf-8", "surrogatepass").lower() for one in names)
            if len(name) >= _LEAST_WORD
        )

    def owns(self, recipient: str, customer_id: str | None) -> bool:
        """Tell whether a delivery is this person's own."""
        if customer_id in self.customer_ids:
            return True
        names = self.source_ids | self.looked_up
        return recipient in names or recipient.strip().lower() in self.every_email

    def also(self, mention: Mention) -> "Person":
        """Learn the person's other names from a mention under one of these."""
        learnt = self
        if mention.customer_id is not None and not (
            self.source_ids.isdisjoint(mention.source_ids)
            and self.emails.isdisjoint(mention.emails)
        ):
            customer_ids = self.customer_ids | {mention.customer_id}
            learnt = replace(learnt, customer_ids=customer_ids)
        if mention.is_customer:
            learnt = replace(learnt, own_emails=self.own_emails | mention.emails)
        if mention.is_customer and self.emails:
            # Whoever is asked for by address has every account under it.
            source_ids = self.source_ids | mention.source_ids
            learnt = replace(learnt, source_ids=source_ids)
        return learnt
