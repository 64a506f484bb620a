"""Voucherify's signature: HMAC-SHA256 over the body; parses no JSON.

References:
    Voucherify's documentation, "Introduction to webhooks".
"""

import hmac
import re
from collections.abc import Iterator, Sequence

from bridge.errors import SignatureError

HEADER = "x-voucherify-signature"

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
# The stretches between insignificant whitespace: whole strings, and everything that is
# neither whitespace nor a quote. An unclosed string is taken to the end and nothing
# backtracks, so hostile bytes cost as little time as honest ones.
_SIGNIFICANT = re.compile(
    rb'(?:[^ \t\r\n"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))++', re.DOTALL
)
_ESCAPE = re.compile(
    rb"\\(?:u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})|u([0-9a-f]{4})|(/)|.)",
    re.DOTALL | re.IGNORECASE,
)
_FIRST_PRINTABLE = 0x20
_SURROGATES = range(0xD800, 0xE000)


def strip_insignificant(body: bytes) -> bytes:
    """Drop blanks, tabs and line ends outside JSON strings, in linear time."""
    return b"".join(_SIGNIFICANT.findall(body))


def sign(body: bytes, secret: str) -> str:
    """Compute the signature of exactly these bytes.

    Voucherify signs and sends its JSON without insignificant whitespace; strip a
    pretty-printed body first to get the signature Voucherify would send with it.

    Returns:
        64 lower-case hexadecimal digits.
    """
    return hmac.digest(_key(secret), body, "sha256").hex()


def verify(body: bytes, header: str | None, secrets: Sequence[str]) -> None:
    """Check that a body was signed with one of the secrets.

    Total: any bytes and any header end in a return or in the one error.

    Args:
        body: The raw body exactly as received.
        header: Value of `X-Voucherify-Signature`, None where there was none.
        secrets: Several while one replaces another; empty ones verify nothing.

    Raises:
        SignatureError: Not authenticated. The reason holds nothing of body or header,
            and tells a body that was re-encoded on the way from a wrong secret.
    """
    if header is None:
        raise SignatureError("the signature header is missing")
    claimed = header.strip().lower()
    if _HEX_DIGEST.fullmatch(claimed) is None:
        raise SignatureError("the signature is not 64 hexadecimal digits")
    keys = [_key(secret) for secret in secrets if secret]
    if not keys:
        raise SignatureError("no secret is configured")
    digest = bytes.fromhex(claimed)
    if _matches(digest, body, keys):
        return
    stripped = strip_insignificant(body)
    if _matches(digest, stripped, keys):
        return
    if any(_matches(digest, form, keys) for form in _decoded_forms(stripped)):
        raise SignatureError(
            "the signature is right for this JSON, but the body was re-encoded on the "
            "way (escapes such as \\u00e9 or \\/): let the relay in between pass the "
            "bytes on unchanged"
        )
    raise SignatureError(
        "the signature does not match the body: the secret is another one, or the body "
        "was changed on the way"
    )


def _matches(digest: bytes, body: bytes, keys: Sequence[bytes]) -> bool:
    expected = (hmac.digest(key, body, "sha256") for key in keys)
    return any(hmac.compare_digest(digest, one) for one in expected)


def _decoded_forms(stripped: bytes) -> Iterator[bytes]:
    """Yield what the sender may have signed before a relay wrote escapes into it."""
    decoded = _ESCAPE.sub(_decoded, stripped)
    if decoded != stripped:
        yield decoded


def _decoded(match: re.Match[bytes]) -> bytes:
    """Write one escape as `JSON.stringify` does: escaped only where JSON demands it."""
    high, low, single, slash = match.groups()
    if slash is not None:
        return slash
    if high is not None:
        pair = bytes.fromhex((high + low).decode())
        return pair.decode("utf-16-be").encode()
    if single is None:
        return match[0]
    point = int(single, 16)
    must_stay = point < _FIRST_PRINTABLE or point in _SURROGATES or chr(point) in '"\\'
    return match[0] if must_stay else chr(point).encode()


def _key(secret: str) -> bytes:
    # The secret's own UTF-8 bytes: the vendor decodes neither hex nor base64.
    return secret.encode("utf-8", "surrogatepass")
