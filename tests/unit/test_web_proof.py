import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SignatureError
from bridge.voucherify import sign
from bridge.web.proof import Proof

BODY = b'{"id": "whs_1"}'
headers = st.none() | st.text(st.characters(max_codepoint=255))


def test_a_valid_signature_proves_the_sender() -> None:
    Proof(["old", "new"], ()).demand(BODY, sign(BODY, "old"), None)


def test_a_known_token_proves_the_sender_without_a_signature() -> None:
    Proof(["secret"], ["one", "two"]).demand(BODY, None, "two")


def test_a_wrong_token_beside_a_valid_signature_does_no_harm() -> None:
    Proof(["secret"], ["one"]).demand(BODY, sign(BODY, "secret"), "left over")


def test_a_token_may_be_any_text() -> None:
    as_wsgi_has_it = "schlüssel☂".encode().decode("latin-1")
    Proof([], ["schlüssel☂"]).demand(BODY, None, as_wsgi_has_it)


@given(body=st.binary(), signature=headers, api_key=headers)
def test_nonsense_never_proves_anything(
    body: bytes, signature: str | None, api_key: str | None
) -> None:
    for proof in (Proof(["secret"], ["a token"]), Proof([], ["a token"])):
        with pytest.raises(SignatureError):
            proof.demand(body, signature, api_key)


@pytest.mark.parametrize("api_key", ["", None])
def test_an_empty_token_proves_nothing(api_key: str | None) -> None:
    with pytest.raises(SignatureError):
        Proof([], [""]).demand(BODY, None, api_key)
