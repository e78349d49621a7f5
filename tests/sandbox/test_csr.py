"""The check of a CSR, defect by defect, on bytes that libraries would not make (facts.md §3.5)."""

import base64
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID
from tests.sandbox.signing import rsa_key

from ksef_sandbox.csr import check
from ksef_sandbox.errors import BadRequest
from ksef_sandbox.identity import Holder

HOLDER = Holder(
    kind="person",
    identity=None,
    fingerprint="",
    common_name="Jan Róża",
    country_name="PL",
    given_name="Jan",
    surname="Róża",
    serial_number="PNOPL-80010112345",
)
SUBJECT = [
    (NameOID.COUNTRY_NAME, "PL"),
    (NameOID.SERIAL_NUMBER, "PNOPL-80010112345"),
    (NameOID.GIVEN_NAME, "Jan"),
    (NameOID.SURNAME, "Róża"),
    (NameOID.COMMON_NAME, "Jan Róża"),
]
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def name_of(subject: list[tuple[x509.ObjectIdentifier, str]]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])


def csr(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = EC_KEY,
    algorithm: hashes.HashAlgorithm | None = hashes.SHA256(),  # noqa: B008  (hash objects are constants)
    *,
    name: x509.Name | None = None,
    rsa_padding: padding.PSS | None = None,
) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(SUBJECT) if name is None else name)
    signed = builder.sign(key, algorithm, rsa_padding=rsa_padding)  # type: ignore[arg-type]
    return signed.public_bytes(serialization.Encoding.DER)


def code(data: bytes) -> int:
    """0 when the request is sound, else KSeF's code."""
    try:
        check(base64.b64encode(data).decode(), HOLDER)
    except BadRequest as refusal:
        return refusal.code
    return 0


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, b"".join(parts))


def tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = bytes([size]) if size < 128 else bytes([0x80 | len(octets)]) + octets
    return bytes([tag]) + length + content


ECDSA_SHA256 = (bytes.fromhex("06082a8648ce3d040302"), lambda data: EC_KEY.sign(data, ec.ECDSA(hashes.SHA256())))
ECDSA_SHA1 = (bytes.fromhex("06072a8648ce3d0401"), lambda data: EC_KEY.sign(data, ec.ECDSA(hashes.SHA1())))  # noqa: S303
RSA_SHA1 = (
    bytes.fromhex("06092a864886f70d0101050500"),
    lambda data: rsa_key().sign(data, padding.PKCS1v15(), hashes.SHA1()),  # noqa: S303
)


PSS_DEFAULTS = (  # no parameters: SHA-1, MGF1 with SHA-1, 20 octets of salt
    bytes.fromhex("06092a864886f70d01010a3000"),
    lambda data: rsa_key().sign(data, padding.PSS(padding.MGF1(hashes.SHA1()), 20), hashes.SHA1()),  # noqa: S303
)


def rebuilt(
    change_subject: Callable[[bytes], bytes] = lambda der: der,
    parameters: bytes = b"",
    algorithm: tuple[bytes, Callable[[bytes], bytes]] = ECDSA_SHA256,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = EC_KEY,
) -> bytes:
    """A CSR signed by hand, so that its subject and its algorithm identifier may be anything."""
    subject = change_subject(name_of(SUBJECT).public_bytes())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    spki = key.public_key().public_bytes(serialization.Encoding.DER, form)
    info = sequence(bytes.fromhex("020100"), subject, spki, bytes.fromhex("a000"))
    identifier, sign = algorithm
    return sequence(info, sequence(identifier, parameters), tlv(0x03, b"\0" + sign(info)))


@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda a: str(a.name))
@pytest.mark.parametrize("kind", ["ec", "rsa", "pss"])
def test_every_documented_algorithm_is_taken(kind: str, algorithm: hashes.HashAlgorithm) -> None:
    salt = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size) if kind == "pss" else None
    assert code(csr(EC_KEY if kind == "ec" else rsa_key(), algorithm, rsa_padding=salt)) == 0


def test_sha1_is_still_taken() -> None:
    assert code(rebuilt(algorithm=ECDSA_SHA1)) == 0
    assert code(rebuilt(algorithm=RSA_SHA1, key=rsa_key())) == 0
    assert code(rebuilt(algorithm=PSS_DEFAULTS, key=rsa_key())) == 0


def test_a_signature_by_another_scheme_than_named_is_refused() -> None:
    pss_named, pkcs1_made = PSS_DEFAULTS[0], RSA_SHA1[1]
    assert code(rebuilt(algorithm=(pss_named, pkcs1_made), key=rsa_key())) == 25004
    assert code(rebuilt(algorithm=(ECDSA_SHA256[0], ECDSA_SHA1[1]))) == 25004


@pytest.mark.parametrize("algorithm", [hashes.SHA224(), hashes.SHA3_256()], ids=lambda a: str(a.name))
def test_other_hashes_are_refused(algorithm: hashes.HashAlgorithm) -> None:
    assert code(csr(EC_KEY, algorithm)) == 25011
    assert code(csr(rsa_key(), algorithm)) == 25011


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), hashes.SHA256()),
        (ec.generate_private_key(ec.SECP256K1()), hashes.SHA256()),
        (rsa_key(1024), hashes.SHA256()),
        (rsa_key(3072), hashes.SHA256()),
        (ed25519.Ed25519PrivateKey.generate(), None),
    ],
    ids=["P-384", "secp256k1", "RSA 1024", "RSA 3072", "Ed25519"],
)
def test_other_keys_are_refused(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey,
    algorithm: hashes.HashAlgorithm | None,
) -> None:
    assert code(csr(key, algorithm)) == 25010


def test_the_hand_made_request_is_sound_before_it_is_bent() -> None:
    assert code(rebuilt()) == 0


def test_polish_letters_squeezed_into_a_printable_string_are_refused() -> None:
    surname = rdn("550404", tlv(0x0C, "Róża".encode()))
    squeezed = rdn("550404", tlv(0x13, bytes.fromhex("52D37B61")))  # UTF-16 units cut to one byte, as seen in the wild
    assert surname in name_of(SUBJECT).public_bytes()
    assert code(rebuilt(lambda subject: sequence(subject[2:].replace(surname, squeezed)))) == 25004


def rdn(oid_hex: str, value: bytes) -> bytes:
    return tlv(0x31, sequence(tlv(0x06, bytes.fromhex(oid_hex)), value))


def test_null_parameters_of_ecdsa_are_refused() -> None:
    assert code(rebuilt(parameters=bytes.fromhex("0500"))) == 25004


@pytest.mark.parametrize(
    ("tag", "encoding"),
    [(0x0C, "utf-8"), (0x1E, "utf-16-be"), (0x1C, "utf-32-be")],
    ids=["UTF8String", "BMPString", "UniversalString"],
)
def test_a_string_may_be_of_any_type_that_can_hold_it(tag: int, encoding: str) -> None:
    def encode(_: bytes) -> bytes:
        rdns = [
            rdn("550406", tlv(0x13, b"PL")),
            rdn("550405", tlv(0x13, b"PNOPL-80010112345")),
            rdn("55042a", tlv(0x13, b"Jan")),
            rdn("550404", tlv(tag, "Róża".encode(encoding))),
            rdn("550403", tlv(tag, "Jan Róża".encode(encoding))),
        ]
        return sequence(*rdns)

    assert code(rebuilt(encode)) == 0


def test_the_order_of_attributes_is_free() -> None:
    assert code(csr(name=name_of(SUBJECT[::-1]))) == 0


def test_a_multi_valued_rdn_is_read_as_its_attributes() -> None:
    together = x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in SUBJECT])
    assert code(csr(name=x509.Name([together]))) == 0


@pytest.mark.parametrize(
    "subject",
    [
        SUBJECT[:-1],
        [*SUBJECT, (NameOID.ORGANIZATION_NAME, "Firma")],
        [*SUBJECT, SUBJECT[-1]],
        [*SUBJECT[:-1], (NameOID.COMMON_NAME, "Jan Róża (uwierzytelnienie)")],
        [*SUBJECT[:-1], (NameOID.COMMON_NAME, "jan róża")],
        [],
    ],
    ids=["missing", "added", "twice", "with suffix", "other case", "empty"],
)
def test_a_subject_that_differs_is_refused(subject: list[tuple[x509.ObjectIdentifier, str]]) -> None:
    assert code(csr(name=name_of(subject))) == 25003


def test_extension_requests_are_ignored() -> None:
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of(SUBJECT))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("example.pl")]), critical=True)
    assert code(builder.sign(EC_KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)) == 0


def test_a_changed_signature_is_refused_whatever_the_key() -> None:
    for key in (EC_KEY, ec.generate_private_key(ec.SECP384R1())):
        data = bytearray(csr(key))
        data[-1] ^= 1
        assert code(bytes(data)) == 25004


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x00", b"garbage", csr()[:-1], csr() + b"\0", b"\x30\x84\xff\xff"]
)
def test_bytes_that_are_no_csr_are_refused(data: bytes) -> None:
    assert code(data) == 25004


def test_every_truncation_and_every_flipped_byte_gives_a_code_and_never_an_error() -> None:
    data = csr()
    for size in range(len(data)):
        assert code(data[:size]) == 25004
    for place in range(len(data)):
        bent = bytearray(data)
        bent[place] ^= 0xFF
        assert code(bytes(bent)) in {25003, 25004, 25010, 25011}
    for version in range(1, 256):
        assert code(data.replace(b"\x02\x01\x00", bytes([2, 1, version]), 1)) == 25004


@pytest.mark.parametrize("text", ["%%%", "ąę", "AAA", "-----BEGIN CERTIFICATE REQUEST-----"])
def test_text_that_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check(text, HOLDER)
    assert refusal.value.code == 25004


def test_line_breaks_in_base64_are_let_through() -> None:
    text = base64.encodebytes(csr()).decode().replace("\n", "\r\n")
    assert check(text, HOLDER).public_key.key_size == 256


def test_a_unique_identifier_may_come_as_bits_or_as_text() -> None:
    holder = Holder(
        kind="person", identity=None, fingerprint="", common_name="Jan", country_name="PL", unique_identifier="AB12"
    )
    base = [rdn("550406", tlv(0x13, b"PL")), rdn("550403", tlv(0x0C, b"Jan"))]
    for value in (tlv(0x03, bytes.fromhex("00ab12")), tlv(0x0C, b"AB12")):
        data = rebuilt(lambda _, value=value: sequence(*base, rdn("55042d", value)))  # type: ignore[misc]
        assert check(base64.b64encode(data).decode(), holder).public_key.key_size == 256
