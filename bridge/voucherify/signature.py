"""The proof that bytes come from Voucherify; reads no JSON.

References:
    Voucherify's documentation, "Introduction to webhooks".
"""

import hmac
import re
from collections.abc import Iterator, Sequence

from bridge.errors import SignatureError

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
# The stretches between insignificant blanks: strings whole, and whatever is neither
# blank nor quote. A string left open is taken to the end, so that no part of this can
# fail, and what is taken is never given back: hostile bytes cost as little time as
# honest ones.
_SIGNIFICANT = re.compile(
    rb'(?:[^ \t\r\n"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))++', re.DOTALL
)


def strip_insignificant(body: bytes) -> bytes:
    """Drop blanks, tabs and line ends outside JSON strings, in linear time."""
    return b"".join(_SIGNIFICANT.findall(body))


def sign(body: bytes, secret: str) -> str:
    """Compute the `x-voucherify-signature` of exactly these bytes.

    Voucherify signs its JSON without insignificant whitespace, and sends it so; strip
    a pretty-printed body first to get the signature Voucherify would send with it.

    Returns:
        64 lower-case hexadecimal digits.
    """
    return hmac.digest(_key(secret), body, "sha256").hex()


def verify(body: bytes, header: str | None, secrets: Sequence[str]) -> None:
    """Prove that a body was signed under one of the secrets.

    Total: any bytes and any header end in a return or in the one error.

    Args:
        body: The raw body exactly as received.
        header: Value of `x-voucherify-signature`, None where there was none.
        secrets: Any number while one replaces another; empty ones prove nothing.

    Raises:
        SignatureError: No proof. The reason holds nothing of body or header.
    """
    if header is None:
        raise SignatureError("the signature header is missing")
    claimed = header.strip().lower()
    if _HEX_DIGEST.fullmatch(claimed) is None:
        raise SignatureError("the signature is not 64 hexadecimal digits")
    keys = [_key(secret) for secret in secrets if secret]
    if not keys:
        raise SignatureError("no secret is configured")
    got = bytes.fromhex(claimed)
    for form in _forms(body):
        proofs = (hmac.digest(key, form, "sha256") for key in keys)
        if any(hmac.compare_digest(got, proof) for proof in proofs):
            return
    raise SignatureError("the signature does not match the body")


def _forms(body: bytes) -> Iterator[bytes]:
    """Yield what may have been signed: the bytes themselves, then without blanks."""
    yield body
    stripped = strip_insignificant(body)
    if stripped != body:
        yield stripped


def _key(secret: str) -> bytes:
    # The secret's own UTF-8 bytes: the vendor decodes neither hex nor base64.
    return secret.encode("utf-8", "surrogatepass")
