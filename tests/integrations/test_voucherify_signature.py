"""Voucherify's signature: the contract's vectors, and nothing else."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import SignatureError
from bridge.integrations.voucherify.signature import sign, strip_insignificant, verify

DEMO_SECRET = "whsec-demo-4f9a"
DEMO_BODY = (
    '{"id":"whs_0f3a1c9d2b7e645801","project_id":"proj_Demo1234",'
    '"created_at":"2026-08-20T09:15:11.880Z","type":"voucher.published",'
    '"data":{"customer":{"name":"Zoë Łukasiewicz","source_id":"crm-1"},'
    '"voucher":{"code":"WLCM-7Qx2Lp","metadata":'
    '{"text":"10% \\"off\\"  today/now"}},"rate":1.5},'
    '"source":{"id":"wh_1","object":"webhook",'
    '"target_url":"https://bridge.example.com/in"},'
    '"event":{"id":"evvou_1","type":"voucher.published"}}'
).encode()
DEMO_SIGNATURE = "4f4049d100bf422e1c0d8b37206c8f96d6c00f2280207abcbed8645a45567bd5"

VECTORS = {
    "1-docs-json": (
        "secretKey",
        b'{"a":1}',
        "a17d2ac229d1ebbb5f10e839c7985c4818e5986eab297f7e5979196d4d7d3ed2",
    ),
    "2-docs-escaped-quote": (
        "secretKey",
        b'{"a\\"b":1}',
        "f7cf97814a03146abedb9793f56e1dec34f618f82d10395310d053f749483ffb",
    ),
    "3-docs-plain-text": (
        "secretKey",
        b"  message  ",
        "53ff92957e1427ce23ad5bda9d0c5f2f4ff384d0806b83eeacb510c842d3a358",
    ),
    "4-node-sdk": (
        "secret-signature-key",
        b'{"test":"test1"}',
        "5547d4d07430a2d1b77649564c68d80afe591f7cc61ca110bccb442e3205eeec",
    ),
    "5-php-sdk": (
        "secret_01234567890_secret",
        b'{"item1":123,"item2":"message","item3":{"a":1,"b":2},"item4":["a","b","c"]}',
        "e87e23da6caa7407a6177cc84ba1b26f58e1a68e24f08eba6ee023c8932b111a",
    ),
    "6-every-trap": (DEMO_SECRET, DEMO_BODY, DEMO_SIGNATURE),
    "7-raw": (
        DEMO_SECRET,
        b'{"campaignId":16504306,"recipientUserId":"crm-10482",'
        b'"dataFields":{"couponCode":"BACK-4hTq81Zm"}}',
        "13b59d94052402b2e8db45a27cab732ef8c476f1ddb6ab9a0ec7df8c848019e2",
    ),
}

WRONG_WAYS = {
    "pretty-printed-bytes": (
        "987ac921fda660b337622f9772e942f9baa68bef6d4276eab6d6761df9b088b0"
    ),
    "dumped-with-defaults": (
        "90ad20270644871383136e76cb11974b07b91385e57420b164e97473cdefecca"
    ),
    "compact-but-escaped": (
        "e814de14b717aeeda8d9f60107b26b4d077cc32719309ee46c1117cce4f56aec"
    ),
    "blanks-removed-inside-strings": (
        "b1f8ef01413155e14996f7b24cce24e12ba88b3ab74e966ecd7363801b826409"
    ),
    "base64": "T0BJ0QC/Qi4cDYs3IGyPltbADyKAIHq8vthkWkVWe9U=",
}


@pytest.mark.parametrize(("secret", "body", "signature"), VECTORS.values(), ids=VECTORS)
def test_every_vector_is_signed_and_verified(
    secret: str, body: bytes, signature: str
) -> None:
    verify(body, signature, [secret])
    assert sign(body, secret) == signature


@pytest.mark.parametrize("wrong", WRONG_WAYS.values(), ids=WRONG_WAYS)
def test_wrong_ways_to_sign_are_neither_accepted_nor_produced(wrong: str) -> None:
    with pytest.raises(SignatureError):
        verify(DEMO_BODY, wrong, [DEMO_SECRET])
    assert sign(DEMO_BODY, DEMO_SECRET) != wrong
    assert sign(strip_insignificant(DEMO_BODY), DEMO_SECRET) != wrong


@pytest.mark.parametrize("indent", [0, 1, 2, "\t"])
def test_a_pretty_printed_body_verifies_after_stripping(indent: int | str) -> None:
    pretty = json.dumps(json.loads(DEMO_BODY), indent=indent, ensure_ascii=False)
    verify(pretty.replace("\n", "\r\n").encode(), DEMO_SIGNATURE, [DEMO_SECRET])


@pytest.mark.parametrize("secrets", [["old", "new"], ["new", "old"], ["old"]])
def test_any_of_several_secrets_verifies(secrets: list[str]) -> None:
    verify(b"{}", sign(b"{}", "old"), secrets)


@pytest.mark.parametrize("secrets", [[], [""]])
def test_without_a_secret_nothing_verifies(secrets: list[str]) -> None:
    with pytest.raises(SignatureError, match="no secret"):
        verify(b"{}", sign(b"{}", ""), secrets)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=" + "a" * 64,
        "a" * 63,
        "a" * 65,
        "g" * 64,
        "a" * 64 + "\n" + "a" * 64,
        "\uff41" * 64,
        "é" * 64,
        "\ud800" * 64,
        "\x00" * 64,
        "a,b,c",
        "a" * 100_000,
    ],
)
def test_an_implausible_header_is_the_documented_error(header: str | None) -> None:
    with pytest.raises(SignatureError):
        verify(b"{}", header, ["secret"])


HOSTILE = {
    "escaped-quotes": b'\\"' * 524_288,
    "open-string-of-escapes": b'"' + b'\\"' * 524_288,
    "quotes": b'"' * 1_048_576,
    "backslashes": b"\\" * 1_048_576,
    "open-string-of-backslashes": b'"' + b"\\" * 1_048_576,
    "strings-and-blanks": b' "' * 524_288,
    "blanks": b" " * 1_048_576,
    "letters-and-blanks": b"a " * 524_288,
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_mebibyte_is_rejected_fast(body: bytes) -> None:
    began = time.process_time()
    with pytest.raises(SignatureError):
        verify(body, "a" * 64, ["secret", "second"])
    assert time.process_time() - began < 0.5


@given(body=st.binary(), header=st.text(), secrets=st.lists(st.text()))
def test_verification_is_total(body: bytes, header: str, secrets: list[str]) -> None:
    with pytest.raises(SignatureError):
        verify(body, header, secrets)


@given(body=st.binary(), secret=st.text(st.characters(), min_size=1))
def test_what_is_signed_verifies_whatever_the_bytes(body: bytes, secret: str) -> None:
    verify(body, sign(body, secret), ["another", secret])


def plainly_stripped(body: bytes) -> bytes:
    kept, is_inside, is_escaped = bytearray(), False, False
    for byte in body:
        if is_inside:
            kept.append(byte)
            is_inside = is_escaped or byte != ord('"')
            is_escaped = not is_escaped and byte == ord("\\")
        elif byte not in b" \t\r\n":
            kept.append(byte)
            is_inside, is_escaped = byte == ord('"'), False
    return bytes(kept)


@given(st.text('a"\\ \t\n{é', max_size=60).map(str.encode) | st.binary())
def test_stripping_agrees_with_a_reader_that_goes_byte_by_byte(body: bytes) -> None:
    assert strip_insignificant(body) == plainly_stripped(body)


@pytest.mark.parametrize(
    "relayed",
    [
        json.dumps(json.loads(DEMO_BODY)).encode(),
        json.dumps(json.loads(DEMO_BODY), ensure_ascii=False)
        .replace("/", "\\/")
        .encode(),
        json.dumps(json.loads(DEMO_BODY), indent=1).replace("/", "\\u002F").encode(),
    ],
    ids=["python", "php", "indented"],
)
def test_a_body_that_was_re_encoded_is_told_from_a_wrong_secret(relayed: bytes) -> None:
    with pytest.raises(SignatureError, match="re-encoded on the way"):
        verify(relayed, DEMO_SIGNATURE, [DEMO_SECRET])
    with pytest.raises(SignatureError, match="the secret is another one"):
        verify(relayed, DEMO_SIGNATURE, ["another"])
