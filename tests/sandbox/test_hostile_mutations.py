"""Signed documents changed at random: each change is refused or changes nothing that anybody reads."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.sandbox.hostile import CHALLENGE, EVIL_REQUEST, REQUEST, VICTIM, text, tree
from tests.sandbox.signing import sign

from ksef_sandbox.auth_request import AuthTokenRequest, parse
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import ContextIdentifier, ContextType
from ksef_sandbox.xades import verify

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


@settings(max_examples=600, deadline=None, database=None, derandomize=True)
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


@settings(max_examples=600, deadline=None, database=None, derandomize=True)
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


@pytest.mark.parametrize("body", SIGNED, ids=["enveloped", "enveloping", "Base64"])
def test_the_unchanged_documents_are_accepted(body: bytes) -> None:
    document = verify(body, compliance="enforce")
    assert parse(document.root, accept=frozenset({"2.0"})) == READ
