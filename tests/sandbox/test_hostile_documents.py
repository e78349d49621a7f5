"""Documents that must be refused, each with its code: a table of attacks on parser, signature and meaning.
`bent.py` builds what is honestly signed in a dishonest shape, `hostile.py` what is changed after signing.
"""

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.sandbox import bent, hostile
from tests.sandbox.hostile import ATTACKER, CHALLENGE, EVIL_REQUEST, REQUEST, VICTIM, cut, double, drop, replaced
from tests.sandbox.signing import (
    DS_NS,
    ENVELOPED,
    EXCLUSIVE,
    INCLUSIVE,
    INCLUSIVE_11,
    make_person,
    make_seal,
    rsa_key,
    sign,
)

from ksef_sandbox.errors import BadRequest
from ksef_sandbox.xml.auth_request import AuthTokenRequest, parse
from ksef_sandbox.xml.dsig import Refused, read_signed_info
from ksef_sandbox.xml.reading import MAX_NAMESPACE_DECLARATIONS, MAX_NODES
from ksef_sandbox.xml.xades import BAD_PROFILE, verify

MORE = "http://www.w3.org/2001/04/xmldsig-more#"
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
HTTP = "http://127.0.0.1:9/x"
XML = "{http://www.w3.org/XML/1998/namespace}"
RSA_SEAL = make_seal(nip="5265877635", key=rsa_key())
RSA_SIGNED, PSS_SIGNED = sign(REQUEST, RSA_SEAL), sign(REQUEST, RSA_SEAL, pss=True)
INCLUSIVE_PREFIXES = f'<p:InclusiveNamespaces xmlns:p="{EXCLUSIVE}" PrefixList="ds"/>'

NO_DOCUMENT: dict[str, tuple[int, Callable[[], bytes]]] = {
    "nothing": (21001, lambda: b""),
    "no XML": (21001, lambda: b"challenge=1"),
    "JSON": (21001, lambda: b'{"challenge": "x"}'),
    "truncated": (21001, lambda: sign(REQUEST, VICTIM)[:-20]),
    "two roots": (21001, lambda: sign(REQUEST, VICTIM) + b"<AuthTokenRequest/>"),
    "an undefined entity": (21001, lambda: replaced(b"<Nip>", b"<Nip>&evil;")),
    "an unbound prefix": (21001, lambda: replaced(b"</Challenge>", b"</Challenge><e:Extra/>")),
    "a null byte": (21001, lambda: replaced(b"<Nip>", b"<Nip>\x00")),
    "deep nesting": (21001, lambda: b"<a>" * 5000 + b"</a>" * 5000),
    "UTF-16": (21217, lambda: sign(REQUEST, VICTIM).decode().replace("utf-8", "utf-16").encode("utf-16")),
    "UTF-16 without a mark": (21217, lambda: sign(REQUEST, VICTIM).split(b"?>", 1)[1].decode().encode("utf-16-le")),
    "UTF-7": (21217, lambda: replaced(b"encoding='utf-8'", b"encoding='UTF-7'")),
    "ISO-8859-2": (21217, lambda: replaced(b"encoding='utf-8'", b"encoding='ISO-8859-2'")),
    "ISO-8859-2, named far away": (21217, lambda: replaced(b" encoding='utf-8'", b" " * 500 + b"encoding='latin2'")),
    "UTF-32": (21217, lambda: sign(REQUEST, VICTIM).split(b"?>", 1)[1].decode().encode("utf-32")),
    "broken UTF-8": (21217, lambda: replaced(b"<Nip>", b"<Nip>\xff")),
    "overlong UTF-8": (21217, lambda: replaced(b"<Nip>", b"<Nip>\xc0\xbc")),
    "oversized": (9101, lambda: replaced(b"<Nip>", b"<!--" + b"x" * 1_000_000 + b"--><Nip>")),
    "four megabytes": (9101, lambda: replaced(b"<Nip>", b"<!--" + b"x" * 4_000_000 + b"--><Nip>")),
    "a flood of namespaces": (9101, lambda: hostile.with_namespaces(2_000)),
    "a flood of elements": (9101, lambda: hostile.flooded("<a/>", 200_000)),
    "a flood of attributes": (9101, lambda: hostile.flooded('a{n}="" ', 70_000, "<x ", "/>")),
    "a flood of Ids": (9101, lambda: hostile.flooded('<a Id="{n}"/>', 50_000)),
    "a flood of entities": (21001, lambda: hostile.with_dtd("", "&amp;" * 150_000)),
    "a processing instruction inside": (9101, lambda: replaced(b"<Nip>", b"<Nip><?php echo 1 ?>")),
    "a processing instruction before": (9101, lambda: replaced(b"?>", b"?><?xml-stylesheet href='x'?>")),
    "a processing instruction after": (9101, lambda: sign(REQUEST, VICTIM) + b"<?evil?>"),
    "an empty DTD": (21001, lambda: hostile.with_dtd("")),
    "a default attribute": (21001, lambda: hostile.with_dtd('[<!ATTLIST Nip Id CDATA "x">]')),
    "an attribute declared as Id": (21001, lambda: hostile.with_dtd("[<!ATTLIST Nip lang ID #IMPLIED>]")),
    "an internal entity": (21001, lambda: hostile.with_dtd('[<!ENTITY e "1111111111">]', "&e;")),
    "billion laughs": (21001, lambda: hostile.with_dtd(f'[<!ENTITY l0 "ha">{LAUGHS}]', "&l9;")),
    "quadratic blow-up": (21001, lambda: hostile.with_dtd(f'[<!ENTITY e "{"a" * 10_000}">]', "&e;" * 1_000)),
    "a file as entity": (21001, lambda: hostile.with_dtd('[<!ENTITY e SYSTEM "file:///etc/passwd">]', "&e;")),
    "a URL as entity": (21001, lambda: hostile.with_dtd(f'[<!ENTITY e SYSTEM "{HTTP}">]', "&e;")),
    "a parameter entity": (21001, lambda: hostile.with_dtd(f'[<!ENTITY % e SYSTEM "{HTTP}"> %e;]')),
    "an external DTD": (21001, lambda: hostile.with_dtd(f'SYSTEM "{HTTP}"')),
}
WRAPPED: dict[str, tuple[int, Callable[[], bytes]]] = {
    "no signature": (9102, lambda: REQUEST),
    "a signature of another namespace": (9102, lambda: sign(REQUEST, VICTIM).replace(DS_NS.encode(), b"urn:ds")),
    "two signatures": (9103, lambda: sign(sign(REQUEST, VICTIM), ATTACKER)),
    "a second signature in an Object": (9103, lambda: sign(REQUEST, VICTIM, extra_object=bent.hidden_signature())),
    "a countersignature": (9103, hostile.countersigned),
    "signature inside the context": (9105, lambda: hostile.signature_moved_into("ContextIdentifier")),
    "signature inside a value": (9105, lambda: hostile.signature_moved_into("Nip")),
    "detached, beside the document": (9105, hostile.detached),
    "the signed document hidden in an Object": (9105, lambda: hostile.wrap_in_evil_root(sign(REQUEST, VICTIM))),
    "enveloping inside an evil root": (9105, hostile.enveloping_inside_evil_root),
    "an evil Object before, same Id": (9105, lambda: hostile.evil_object("Document", first=True)),
    "an evil Object after, same Id": (9105, lambda: hostile.evil_object("Document", first=False)),
    "an evil document beside the signed one": (9105, hostile.evil_sibling),
    "evil SignedProperties, same Id": (9105, lambda: hostile.second_signed_properties(same_id=True)),
    "evil SignedProperties, other Id": (9105, lambda: hostile.second_signed_properties(same_id=False)),
    "signed SignedProperties moved away": (9105, hostile.moved_signed_properties),
    "Id doubled in lower case": (9105, lambda: hostile.with_attribute("ds:KeyInfo", "id", "SignedProperties")),
    "Id doubled in upper case": (9105, lambda: hostile.with_attribute("ds:KeyInfo", "ID", "SignedProperties")),
    "Id doubled as xml:id": (9105, lambda: hostile.with_attribute("Nip", f"{XML}id", "SignedProperties")),
    "two SignedInfo": (9105, lambda: cut(double("ds:SignedInfo"))),
    "two SignatureValue": (9105, lambda: cut(double("ds:SignatureValue"))),
    "two KeyInfo": (9105, lambda: cut(double("ds:KeyInfo"), sign(REQUEST, VICTIM).replace(b' Id="KeyInfo"', b""))),
    "a foreign root, honestly signed": (21401, lambda: sign(b"<a>" + REQUEST.split(b"?>")[1] + b"</a>", VICTIM)),
    "XInclude, honestly signed": (21401, bent.xincluded),
    "an Id on the root, honestly signed": (21401, lambda: bent.signed_root(Id="Root")),
    "two documents in the Object": (9105, lambda: bent.enveloping(bent.with_a_second_document)),
    "text beside the document in the Object": (9105, lambda: bent.enveloping(bent.with_loose_text)),
    "enveloped transform in enveloping": (9105, lambda: bent.enveloping(bent.with_removal)),
    "a DTD in Base64": (21001, lambda: bent.base64_of(b"<!DOCTYPE a><a/>")),
    "a signature in Base64": (9103, lambda: bent.base64_of(sign(EVIL_REQUEST, ATTACKER))),
    "garbage in Base64": (21001, lambda: bent.base64_of(b"\x01\x02")),
    "UTF-16 in Base64": (21217, lambda: bent.base64_of("<a/>".encode("utf-16"))),
    "markup in the Base64": (9105, hostile.markup_in_base64),
}
CHANGED: dict[str, tuple[int, Callable[[], bytes]]] = {
    "another context": (9105, lambda: replaced(b"5265877635", b"1111111111")),
    "one more element": (9105, lambda: replaced(b"</SubjectIdentifierType>", b"</SubjectIdentifierType><Extra/>")),
    "one more space": (9105, lambda: replaced(b"<ContextIdentifier>", b"<ContextIdentifier> ")),
    "another schema version": (9105, lambda: replaced(b"token/2.0", b"token/2.1")),
    "another challenge": (9105, lambda: replaced(CHALLENGE.encode(), CHALLENGE.replace("46", "47").encode())),
    "another signing time": (9105, lambda: hostile.with_text("xades:SigningTime", "2020-01-01T00:00:00Z")),
    "a wrong digest": (9105, lambda: hostile.with_text("ds:DigestValue", "A" * 43 + "=")),
    "an empty digest": (9105, lambda: hostile.with_text("ds:DigestValue", "")),
    "KeyInfo changed though signed": (
        9105,
        lambda: cut(double("ds:X509Certificate"), sign(REQUEST, VICTIM, sign_key_info=True)),
    ),
    "DER instead of R||S": (9105, lambda: sign(REQUEST, VICTIM, der_value=True)),
    "R||S a byte short": (9105, lambda: hostile.signature_value(lambda value: value[:-1])),
    "R||S with leading zeros": (9105, lambda: hostile.signature_value(lambda v: b"\0" + v[:32] + b"\0" + v[32:])),
    "a zero before S": (9105, lambda: hostile.signature_value(lambda v: v[:32] + b"\0" + v[32:])),
    "R and S are zero": (9105, lambda: hostile.signature_value(lambda _: bytes(64))),
    "R and S changed places": (9105, lambda: hostile.signature_value(lambda v: v[32:] + v[:32])),
    "an empty signature value": (9105, lambda: hostile.with_text("ds:SignatureValue", "")),
    "no Base64": (9105, lambda: hostile.with_text("ds:SignatureValue", "§§§")),
    "a comment in the signature value": (9105, lambda: hostile.commented("ds:SignatureValue")),
    "a comment in the certificate": (9105, lambda: hostile.commented("ds:X509Certificate")),
    "KeyInfo of the attacker": (9105, lambda: hostile.key_info_swapped(signing_certificate=True)),
    "KeyInfo of the attacker, none named": (9105, lambda: hostile.key_info_swapped(signing_certificate=False)),
    "no KeyInfo": (9105, lambda: cut(drop("ds:KeyInfo"))),
    "KeyInfo without certificate": (9105, lambda: cut(drop("ds:X509Certificate"))),
    "garbage for a certificate": (21115, lambda: hostile.with_text("ds:X509Certificate", "AAAA")),
    "a truncated certificate": (21115, lambda: hostile.changed_certificate(lambda der: der[:-40])),
    "a certificate of version 4": (21115, lambda: hostile.changed_certificate(lambda der: der[:12] + b"\3" + der[13:])),
    "an RSA signature, another context": (9105, lambda: replaced(b"5265877635", b"1111111111", RSA_SIGNED)),
    "an RSA signature, its value changed": (9105, lambda: hostile.signature_value(hostile.flipped, RSA_SIGNED)),
    "an RSA-PSS signature, its value changed": (9105, lambda: hostile.signature_value(hostile.flipped, PSS_SIGNED)),
    "xml:base above what is signed": (9105, lambda: hostile.with_attribute("AuthTokenRequest", f"{XML}base", HTTP)),
}
ALL_PREFIXES = " ".join(f"p{number}" for number in range(1_000))
BENT_TRANSFORMS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "XPath leaves out text": (9105, bent.without_text),
    "XPath leaves out the context": (
        9105,
        lambda: bent.filtered(
            bent.xpath("not(ancestor-or-self::ds:Signature | ancestor-or-self::k:Nip)", bent.K), "Nip"
        ),
    ),
    "XPath with an or": (9105, lambda: bent.filtered(bent.xpath(f"{bent.NOT_SIGNATURE} or true()"))),
    "XPath, ds bound elsewhere": (9105, lambda: bent.filtered(bent.xpath(bent.NOT_SIGNATURE, 'xmlns:ds="urn:x"'))),
    "XPath with a stranger beside it": (9105, bent.xpath_with_a_stranger),
    "two XPath expressions": (9105, bent.two_xpath_expressions),
    "filter2 intersects": (9105, lambda: bent.filtered(bent.filter2("intersect", "/descendant::k:Challenge"), "Nip")),
    "filter2 subtracts the context": (9105, lambda: bent.filtered(bent.filter2("subtract", "//k:Nip"), "Nip")),
    "filter2 unites": (9105, lambda: bent.filtered(bent.filter2("union", "/descendant::ds:Signature"))),
    "XSLT": (9105, lambda: bent.filtered(bent.transform("http://www.w3.org/TR/1999/REC-xslt-19991116"))),
    "Base64 of the whole document": (9105, bent.base64_of_the_document),
    "no transform takes the signature out": (9105, lambda: sign(REQUEST, VICTIM, removal="")),
    "canonicalised twice": (9105, lambda: bent.canonicalised_by(INCLUSIVE, extra=bent.transform(EXCLUSIVE))),
    "an unknown canonicalisation": (9105, lambda: bent.canonicalised_by("http://www.w3.org/2010/xml-c14n2")),
    "a transform without a name": (9105, lambda: bent.canonicalised_by("")),
    "enveloped with parameters": (9105, lambda: sign(REQUEST, VICTIM, removal=bent.transform(ENVELOPED, "<x/>"))),
    "prefixes for inclusive c14n": (9105, lambda: bent.canonicalised_by(INCLUSIVE_11, INCLUSIVE_PREFIXES)),
    "a flood of prefixes": (
        9105,
        lambda: bent.canonicalised_by(EXCLUSIVE, INCLUSIVE_PREFIXES.replace('"ds"', f'"{ALL_PREFIXES}"')),
    ),
    "relative namespaces": (9105, lambda: sign(bent.relative_namespace(), VICTIM, document_bytes=lambda _: b"")),
}
BENT_REFERENCES: dict[str, tuple[int, Callable[[], bytes]]] = {
    "only the context is signed": (9105, lambda: bent.signed_part("ContextIdentifier")),
    "only the challenge is signed": (9105, lambda: bent.signed_part("Challenge")),
    "nothing but SignedProperties is signed": (
        9105,
        lambda: sign(REQUEST, VICTIM, shape=bent.drop_document_reference),
    ),
    "SignedProperties are not signed": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.drop_properties_reference)),
    "a web address": (9105, lambda: sign(REQUEST, VICTIM, document_uri=HTTP)),
    "a file": (9105, lambda: sign(REQUEST, VICTIM, document_uri="file:///etc/passwd")),
    "a relative path": (9105, lambda: sign(REQUEST, VICTIM, document_uri="request.xml")),
    "enveloped transform on SignedProperties": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.enveloped_properties)),
    "SignedProperties by another Id": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.properties_by_another_id)),
    "other properties in KeyInfo": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.properties_in_key_info)),
    "the Object inside another Object": (9105, lambda: bent.enveloping(bent.object_in_object)),
    "xml:lang above what is signed": (9105, lambda: bent.signed_root(**{f"{XML}lang": "pl"})),
    "an XPointer": (9105, lambda: sign(REQUEST, VICTIM, document_uri="#xpointer(/)")),
    "a missing Id": (9105, lambda: sign(REQUEST, VICTIM, document_uri="#Nowhere")),
    "an empty Id": (9105, lambda: sign(REQUEST, VICTIM, document_uri="#")),
    "a missing URI": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.drop_uri)),
    "the document twice": (9105, lambda: sign(REQUEST, VICTIM, extra_reference=bent.reference_to("", digest=""))),
    "an external reference beside": (9105, lambda: sign(REQUEST, VICTIM, extra_reference=bent.reference_to(HTTP))),
    "a Manifest": (
        9105,
        lambda: sign(REQUEST, VICTIM, extra_reference=bent.reference_to("#M"), extra_object=bent.manifest()),
    ),
    "a hundred references": (9105, lambda: sign(REQUEST, VICTIM, extra_reference=bent.reference_to("") * 100)),
}
BENT_SIGNERS: dict[str, tuple[int, Callable[[], bytes]]] = {
    "HMAC": (9105, lambda: bent.with_method(f"{MORE}hmac-sha256")),
    "DSA": (9105, lambda: bent.with_method("http://www.w3.org/2009/xmldsig11#dsa-sha256")),
    "RSA with MD5": (9105, lambda: bent.with_method(f"{MORE}rsa-md5")),
    "ECDSA with SHA-224": (9105, lambda: bent.with_method(f"{MORE}ecdsa-sha224")),
    "an empty algorithm": (9105, lambda: bent.with_method("")),
    "an RSA method for an EC key": (9105, lambda: bent.with_method(f"{MORE}rsa-sha256")),
    "an EC method for an RSA key": (9105, bent.ec_method_for_an_rsa_key),
    "MD5 digests": (9105, lambda: replaced(b"xmlenc#sha256", b"xmldsig-more#md5")),
    "a comment in a digest": (9105, bent.comment_in_a_digest),
    "RSA 1024": (9105, lambda: sign(REQUEST, make_person(nip="1111111111", key=rsa_key(1024)))),
    "P-192": (9105, lambda: sign(REQUEST, make_person(nip="1111111111", key=bent.ec_key(ec.SECP192R1())))),
    "P-224": (9105, lambda: sign(REQUEST, make_person(nip="1111111111", key=bent.ec_key(ec.SECP224R1())))),
    "an Ed25519 certificate": (9105, bent.ed25519_certificate),
    "SigningCertificate of another": (9105, lambda: sign(REQUEST, VICTIM, signing_certificate_of=ATTACKER)),
    "v1 right, V2 of another": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.two_lists)),
    "the serial number of another": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.other_serial)),
    "the issuer in slash form": (9105, lambda: sign(REQUEST, VICTIM, issuer_name="/C=PL/O=Firma")),
    "no SigningCertificate": (9105, lambda: sign(REQUEST, VICTIM, signing_certificate="none")),
    "an empty SigningCertificate": (9105, lambda: sign(REQUEST, VICTIM, shape=drop("xades:Cert"))),
    "a flood of xades:Cert": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.many_certs)),
    "eleven certificates": (9105, lambda: sign(REQUEST, VICTIM, key_info=[VICTIM.certificate] * 11)),
    "plain XMLDSig": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.plain)),
    "an old XAdES namespace": (9105, lambda: sign(REQUEST, VICTIM, shape=bent.old_xades)),
    "Target of another signature": (9105, lambda: sign(REQUEST, VICTIM, target="#Other")),
    "no Target": (9105, lambda: sign(REQUEST, VICTIM, target=None)),
    "no Type": (9105, lambda: sign(REQUEST, VICTIM, properties_type=None)),
}
BENT = BENT_TRANSFORMS | BENT_REFERENCES | BENT_SIGNERS
ATTACKS = NO_DOCUMENT | WRAPPED | CHANGED | BENT


def read(body: bytes) -> AuthTokenRequest:
    return parse(verify(body, compliance="enforce").root, accept=frozenset({"2.0", "2.1"}))


def test_what_the_attacks_start_from_is_accepted() -> None:
    assert read(sign(REQUEST, VICTIM)).context.value == "5265877635"


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_document_is_refused_with_its_code(name: str) -> None:
    code, attack = ATTACKS[name]
    body = attack()
    with pytest.raises(BadRequest) as refused:
        read(body)
    assert refused.value.code == code


@pytest.mark.parametrize("name", BENT)
def test_a_bent_signature_is_refused_for_its_shape_and_not_for_a_digest(name: str) -> None:
    _, attack = BENT[name]
    with pytest.raises(BadRequest) as refused:
        read(attack())
    assert refused.value.details[0] == BAD_PROFILE
    assert refused.value.details[1], "the answer says which rule was broken"


@pytest.mark.parametrize("c14n", [EXCLUSIVE, f"{EXCLUSIVE}WithComments", f"{INCLUSIVE}#WithComments"])
@pytest.mark.parametrize("at", ["before", "after"])
def test_a_comment_cuts_no_value_short(c14n: str, at: str) -> None:
    """Signed with it or slipped in later: the value is all its text, never the half before the comment."""
    commented = b"<Nip>52658<!-- 1111111111 -->77635</Nip>"
    if at == "before":
        body = sign(REQUEST.replace(b"<Nip>5265877635</Nip>", commented), VICTIM, reference_c14n=EXCLUSIVE, c14n=c14n)
    else:
        body = replaced(b"<Nip>5265877635</Nip>", commented, sign(REQUEST, VICTIM, c14n=c14n))
    assert read(body).context.value == "5265877635"


def test_a_document_at_the_bounds_is_still_read() -> None:
    """An honest document is far below them; whoever fills them costs no more than they allow."""
    unsigned = sign(REQUEST, VICTIM)
    used = len(list(hostile.tree(unsigned).iter())) + sum(len(node.attrib) for node in hostile.tree(unsigned).iter())
    assert used < MAX_NODES / 10
    assert unsigned.count(b"xmlns") < MAX_NAMESPACE_DECLARATIONS / 10
    for more, code in ((MAX_NODES - used - 1, 9105), (MAX_NODES - used, 9101)):
        with pytest.raises(BadRequest) as refused:
            read(hostile.flooded("<a/>", more))
        assert refused.value.code == code


def test_der_instead_of_two_integers_is_explained() -> None:
    with pytest.raises(BadRequest) as refused:
        read(sign(REQUEST, VICTIM, der_value=True))
    assert refused.value.details[0] == "Podpis zweryfikowany negatywnie."
    assert "R||S" in refused.value.details[1]


def test_a_changed_document_names_the_reference() -> None:
    with pytest.raises(BadRequest) as refused:
        read(replaced(b"5265877635", b"1111111111"))
    assert refused.value.details == ("Nieprawidłowa wartość skrótu dla referencji wskazującej na element ''.",)


@pytest.mark.parametrize(("meaning", "allowed"), [(DS_NS, True), ("urn:another", False)])
def test_the_ds_of_an_xpath_must_mean_the_signature(meaning: str, allowed: bool) -> None:
    """With any other prefix for the signature itself, `ds` in the expression could mean anything."""
    transform = bent.xpath(bent.NOT_SIGNATURE, f'xmlns:ds="{meaning}"').replace("ds:XPath", "s:XPath")
    xml = (
        f'<s:Signature xmlns:s="{DS_NS}"><s:SignedInfo><s:CanonicalizationMethod Algorithm="{INCLUSIVE}"/>'
        f'<s:SignatureMethod Algorithm="{MORE}ecdsa-sha256"/><s:Reference URI=""><s:Transforms>'
        f"{transform.replace('ds:Transform', 's:Transform')}</s:Transforms>"
        '<s:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><s:DigestValue>AAAA</s:DigestValue>'
        "</s:Reference></s:SignedInfo></s:Signature>"
    )
    signature = hostile.tree(xml.encode())
    if allowed:
        assert read_signed_info(signature).references[0].removes_signature
    else:
        with pytest.raises(Refused):
            read_signed_info(signature)
