"""What is personal: one policy for masked pages, pseudonymised captures and erasure."""

from bridge.privacy.customers import CustomerIdentity, CustomerMention, mentions
from bridge.privacy.masking import Redactor, mask, personal_values
from bridge.privacy.pseudonyms import Pseudonymizer

__all__ = [
    "CustomerIdentity",
    "CustomerMention",
    "Pseudonymizer",
    "Redactor",
    "mask",
    "mentions",
    "personal_values",
]
