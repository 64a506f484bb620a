"""Whether a request comes from whom it must come from; parses nothing."""

from collections.abc import Iterable, Sequence
from hmac import compare_digest

from bridge import voucherify
from bridge.errors import SignatureError


class Proof:
    """What one door accepts.

    Args:
        secrets: Voucherify's, any of which may have signed.
        tokens: Any of which may stand in `Api-Key`; empty ones prove nothing.
    """

    def __init__(self, secrets: Sequence[str], tokens: Iterable[str]) -> None:
        self._secrets = tuple(secrets)
        self._tokens = tuple(token.encode() for token in tokens if token)
        ways = [
            *(["Voucherify's signature in X-Voucherify-Signature"] if secrets else []),
            *(["a known token in Api-Key"] if self._tokens else []),
        ]
        self._accepted = f"this door takes {' or '.join(ways) or 'nobody'}"

    def demand(self, body: bytes, signature: str | None, api_key: str | None) -> None:
        """Let a proven request pass.

        Args:
            body: Exactly as received.
            signature: The header, if it came; text as WSGI has it, a character a byte.
            api_key: Likewise.

        Raises:
            SignatureError: Neither signature nor token proves the sender.
        """
        if api_key is not None and self._knows(api_key):
            return
        if not self._secrets:
            raise SignatureError(f"no Api-Key that is known here; {self._accepted}")
        try:
            voucherify.verify(body, signature, self._secrets)
        except SignatureError as error:
            raise SignatureError(f"{error.reason}; {self._accepted}") from None

    def _knows(self, api_key: str) -> bool:
        given = api_key.encode("latin-1", "replace")
        return any(compare_digest(given, token) for token in self._tokens)
