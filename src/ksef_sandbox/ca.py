"""The sandbox's certificate authority: EC P-384, and the profile of the certificates it signs (facts.md §3.2).
It signs what it is told; who may have which certificate is decided in `enrollments.py`.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPublicKeyTypes
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from ksef_sandbox.identity import Holder
from ksef_sandbox.records import Certificate, CertificateType
from ksef_sandbox.references import Randomness

SUFFIXES = {CertificateType.AUTHENTICATION: " (uwierzytelnienie)", CertificateType.OFFLINE: " (offline)"}

_QC_STATEMENTS = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3")
# SEQUENCE { SEQUENCE { id-etsi-qcs-QcType, SEQUENCE { QcType eseal | esign } } } of ETSI EN 319 412-5
_QC_TYPE_ESEAL = bytes.fromhex("30153013060604008e4601063009060704008e46010602")
_QC_TYPE_ESIGN = bytes.fromhex("30153013060604008e4601063009060704008e46010601")
_P384_ORDER_BITS = 384


@dataclass(frozen=True)
class Order:
    """Everything a new certificate says."""

    serial: str
    type: CertificateType
    holder: Holder
    public_key: CertificateIssuerPublicKeyTypes
    valid_from: datetime
    valid_to: datetime


class CertificateAuthority:
    """Signs with ecdsa-with-SHA512, RSA subject keys too, as the real one does."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate
        # Of the default address; the server sets its own as soon as it knows it.
        self.crl_url = "http://127.0.0.1:8380/sandbox/ca.crl"
        self._authority_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())

    @classmethod
    def create(cls, randomness: Randomness, *, deterministic: bool) -> "CertificateAuthority":
        """Make a new authority; with seeded randomness and `deterministic` always the same."""
        key = ec.derive_private_key(randomness.integer(_P384_ORDER_BITS - 1) + 1, ec.SECP384R1())
        subject_key = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        # Valid long before and after any moment to which a test may move the clock.
        builder = (
            x509.CertificateBuilder()
            .subject_name(_ISSUER)
            .issuer_name(_ISSUER)
            .public_key(key.public_key())
            .serial_number(int(randomness.certificate_serial(), 16))
            .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage("key_cert_sign", "crl_sign"), critical=True)
            .add_extension(subject_key, critical=False)
        )
        return cls(key, builder.sign(key, hashes.SHA512(), ecdsa_deterministic=deterministic or None))

    @classmethod
    def load(cls, key_pem: str, certificate_pem: str) -> "CertificateAuthority":
        """Take up the authority of an earlier run."""
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the key of the sandbox's CA is not an EC key")
        return cls(key, x509.load_pem_x509_certificate(certificate_pem.encode()))

    def key_pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self._key.private_bytes(encoding, form, serialization.NoEncryption()).decode()

    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, order: Order) -> x509.Certificate:
        """Sign one certificate of the profile of facts.md §3.2."""
        usage = "digital_signature" if order.type is CertificateType.AUTHENTICATION else "content_commitment"
        distribution = x509.DistributionPoint([x509.UniformResourceIdentifier(self.crl_url)], None, None, None)
        statements = _QC_TYPE_ESEAL if order.holder.kind in ("seal", "peppol") else _QC_TYPE_ESIGN
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject_name(order.holder, order.type))
            .issuer_name(self.certificate.subject)
            .public_key(order.public_key)
            .serial_number(int(order.serial, 16))
            .not_valid_before(order.valid_from)
            .not_valid_after(order.valid_to)
            .add_extension(self._authority_key, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(order.public_key), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(usage), critical=True)
            .add_extension(x509.CRLDistributionPoints([distribution]), critical=False)
            .add_extension(x509.UnrecognizedExtension(_QC_STATEMENTS, statements), critical=False)
        )
        return builder.sign(self._key, hashes.SHA512())

    def issue_for_encryption(self, key: CertificateIssuerPublicKeyTypes, usage: str, serial: str) -> x509.Certificate:
        """Sign the certificate of a key under which clients encrypt; as long-lived as the authority itself."""
        name = x509.Name([*list(self.certificate.subject)[:-1], x509.NameAttribute(NameOID.COMMON_NAME, usage)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(int(serial, 16))
            .not_valid_before(self.certificate.not_valid_before_utc)
            .not_valid_after(self.certificate.not_valid_after_utc)
            .add_extension(self._authority_key, critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage("key_encipherment"), critical=True)
        )
        return builder.sign(self._key, hashes.SHA512())

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether this authority's key made the signature on a certificate."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except Exception:  # whatever a strange certificate breaks, it is not ours
            return False
        return True

    def revocation_list(self, now: datetime, revoked: list[Certificate]) -> bytes:
        """A CRL in DER with the given certificates."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(now).next_update(now.replace(year=now.year + 1, day=1))
        for certificate in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(certificate.serial, 16))
            builder = builder.add_revoked_certificate(entry.revocation_date(certificate.revoked_at or now).build())
        return builder.sign(self._key, hashes.SHA512()).public_bytes(serialization.Encoding.DER)


def without_suffix(holder: Holder) -> Holder:
    """The holder of a KSeF certificate by the name under which it was asked for."""
    name = holder.common_name or ""
    for suffix in SUFFIXES.values():
        name = name.removesuffix(suffix)
    return replace(holder, common_name=name)


def common_name(holder: Holder, certificate_type: CertificateType) -> str:
    """The common name of a certificate: the holder's, with the suffix of its type."""
    return (holder.common_name or "") + SUFFIXES[certificate_type]


def subject_name(holder: Holder, certificate_type: CertificateType) -> x509.Name:
    """The subject in the observed DER order; UTF8String for all but the country."""
    values: list[tuple[x509.ObjectIdentifier, str | None]] = [
        (NameOID.COUNTRY_NAME, holder.country_name),
        (NameOID.ORGANIZATION_IDENTIFIER, holder.organization_identifier),
        (NameOID.ORGANIZATION_NAME, holder.organization_name),
        (NameOID.SERIAL_NUMBER, holder.serial_number),
        (NameOID.GIVEN_NAME, holder.given_name),
        (NameOID.SURNAME, holder.surname),
        (x509.ObjectIdentifier("2.5.4.45"), holder.unique_identifier),
        (NameOID.COMMON_NAME, common_name(holder, certificate_type)),
    ]
    return x509.Name([_attribute(oid, value) for oid, value in values if value])


def _attribute(oid: x509.ObjectIdentifier, value: str) -> x509.NameAttribute[str]:
    kind = _ASN1Type.PrintableString if oid == NameOID.COUNTRY_NAME else _ASN1Type.UTF8String
    # KSeF allows longer names than X.520's upper bounds; a sandbox must not be stricter than the original.
    return x509.NameAttribute(oid, value, kind, _validate=False)


def _key_usage(*usages: str) -> x509.KeyUsage:
    names = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in usages for name in names})


_ISSUER = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "PL"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ministerstwo Finansów"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Krajowa Administracja Skarbowa"),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "SANDBOX ksef-sandbox: local test, no legal effect"),
        x509.NameAttribute(NameOID.COMMON_NAME, "TEST CCK KSeF SANDBOX"),
    ]
)
