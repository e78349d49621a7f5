"""The document to be signed: valid by the official schema, and no context can break out of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from tests.klucznik.ksef.worlds import CHALLENGE

from klucznik.domain.identifiers import Context, ContextType
from klucznik.domain.values import InvalidValue
from klucznik.ksef.auth_request import NAMESPACE, SubjectIdentifierType, auth_token_request

OFFICIAL = Path(__file__).parents[4] / "shared" / "ksef" / "schemat_auth_v2-0.xsd"
needs_xsd = pytest.mark.skipif(not OFFICIAL.is_file(), reason="SKIPPED: the official XSD is not beside this checkout")


@needs_xsd
@pytest.mark.parametrize("identifier_type", SubjectIdentifierType)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (ContextType.NIP, "5265877635"),
        (ContextType.INTERNAL_ID, "5265877635-12345"),
        (ContextType.NIP_VAT_UE, "5265877635-DE123456789"),
    ],
)
def test_the_document_is_valid_by_the_official_schema(
    identifier_type: SubjectIdentifierType, kind: ContextType, value: str
) -> None:
    document = etree.fromstring(auth_token_request(CHALLENGE, Context(kind, value), identifier_type))
    official_schema().assertValid(document)


def official_schema() -> etree.XMLSchema:
    """Two of its habits are not regular expressions to libxml2: word boundaries (only in the IP policy, which we do not
    send) and a literal ``$`` at the end (facts.md §2.2).
    """
    definition = etree.parse(OFFICIAL)
    for pattern in definition.iter("{http://www.w3.org/2001/XMLSchema}pattern"):
        value = pattern.get("value", "")
        pattern.set("value", ".*" if "\\b" in value else value.removesuffix("$"))
    return etree.XMLSchema(definition)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")))
def test_whatever_stands_in_a_context_stays_text(value: str) -> None:
    root = etree.fromstring(auth_token_request(CHALLENGE, Context(ContextType.NIP, value)))
    assert [child.tag for child in root] == [
        f"{{{NAMESPACE}}}{name}" for name in ("Challenge", "ContextIdentifier", "SubjectIdentifierType")
    ]
    assert (root[1][0].text or "") == value
    assert len(root[1][0]) == 0


@pytest.mark.parametrize("challenge", ["", "20261123-CR-20f5ee4000-DA48AE4124-46", CHALLENGE + "\n", "<x/>"])
def test_a_malformed_challenge_is_not_signed(challenge: str) -> None:
    with pytest.raises(InvalidValue, match="challenge_malformed"):
        auth_token_request(challenge, Context.of_nip("5265877635"))
