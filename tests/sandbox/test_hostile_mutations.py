"""Signed documents changed at random: each change is refused or changes nothing that anybody reads."""

import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.sandbox.hostile import CHALLENGE, EVIL_REQUEST, REQUEST, VICTIM, text, tree
from tests.sandbox.signing import TestCredential, auth_token_request, sign

from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import ContextIdentifier, ContextType
from ksef_sandbox.sign_in import new_challenge, sign_in
from ksef_sandbox.state import World
from ksef_sandbox.xml.auth_request import AuthTokenRequest, parse
from ksef_sandbox.xml.xades import verify

SIGNED = [
    sign(REQUEST, VICTIM),
    sign(REQUEST, VICTIM, form="enveloping", sign_key_info=True),
    sign(REQUEST, VICTIM, form="enveloping-base64"),
]
READ = AuthTokenRequest(CHALLENGE, ContextIdentifier(ContextType.NIP, "5265877635"), "certificateSubject", None)
bodies = st.sampled_from(SIGNED)


def judge(body: bytes) -> None:
    """Refused on purpose, or read exactly as it was signed and by whom."""
    try:
        document = verify(body, compliance="off")
        request = parse(document.root, accept=frozenset({"2.0", "2.1"}))
    except BadRequest:
        return
    assert request == READ
    assert document.certificate == VICTIM.certificate


@settings(max_examples=600, database=None, derandomize=True)
@given(bodies, st.data())
def test_changed_bytes_are_refused_or_mean_nothing(body: bytes, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = min(len(body), start + data.draw(st.integers(0, 4)))
        fragment = data.draw(
            st.sampled_from([b"", b" ", b"\n", b"<!-- -->", b"1", b"<a/>", b"&#49;", b"</", b"\xff", b'"'])
        )
        body = body[:start] + fragment + body[end:]
    judge(body)


@settings(max_examples=600, database=None, derandomize=True)
@given(bodies, st.data())
def test_moved_elements_are_refused_or_mean_nothing(body: bytes, data: st.DataObject) -> None:
    root = tree(body)
    for _ in range(data.draw(st.integers(1, 3))):
        nodes = [*root.iter(etree.Element)]
        node, place = data.draw(st.sampled_from(nodes)), data.draw(st.sampled_from(nodes))
        kind = data.draw(st.sampled_from(["copy", "move", "drop", "evil", "rename"]))
        inside = node in place.iterancestors() or node is place
        parent = node.getparent()
        if kind == "copy":
            place.append(tree(etree.tostring(node, with_tail=False)))
        elif kind == "evil":
            place.insert(0, tree(EVIL_REQUEST))
        elif kind == "rename":
            node.tag = data.draw(st.sampled_from(nodes)).tag
        elif kind == "move" and not inside:
            place.insert(data.draw(st.integers(0, 3)), node)
        elif kind == "drop" and parent is not None:
            parent.remove(node)
    judge(text(root))


WORLD = World(seed=1)
DER = VICTIM.certificate.public_bytes(serialization.Encoding.DER)
octets = st.tuples(st.integers(0, len(DER) - 1), st.integers(0, 255))


@settings(max_examples=600, database=None, derandomize=True)
@given(st.lists(octets, min_size=1, max_size=3))
def test_a_bent_certificate_signs_in_or_is_refused(changes: list[tuple[int, int]]) -> None:
    """Nobody checks the signature of a self-signed certificate, so its every byte is the client's own."""
    der = bytearray(DER)
    for place, value in changes:
        der[place] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of serial numbers that it will refuse one day
        try:
            bent = TestCredential(x509.load_der_x509_certificate(bytes(der)), VICTIM.private_key)
        except (ValueError, x509.InvalidVersion):
            return
        now = WORLD.clock.now()
        request = auth_token_request(new_challenge(WORLD, now).value, nip="5265877635")
        body = sign(request, bent, issuer_name="CN=Test")
        try:
            code = sign_in(WORLD, body, now, compliance="enforce", verify_chain=False)[0].outcome.code
        except BadRequest as refusal:
            code = refusal.code
    assert code in {200, 415, 460, 9105, 21115, 21406}


@pytest.mark.parametrize("body", SIGNED, ids=["enveloped", "enveloping", "Base64"])
def test_the_unchanged_documents_are_accepted(body: bytes) -> None:
    document = verify(body, compliance="enforce")
    assert parse(document.root, accept=frozenset({"2.0"})) == READ
