"""Certificates that do not belong where they are given: another key, another subject, the other type.
For the fault of a wrong answer; all are signed by the sandbox's CA, none is kept.
"""

import base64
from dataclasses import replace
from typing import Any, Literal, cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ksef_sandbox import ca
from ksef_sandbox.identity import Holder, read_holder
from ksef_sandbox.records import CertificateType
from ksef_sandbox.state import World
from ksef_sandbox.wire import JsonValue

_OTHER_TYPE = {
    CertificateType.AUTHENTICATION: CertificateType.OFFLINE,
    CertificateType.OFFLINE: CertificateType.AUTHENTICATION,
}
_P256_BITS = 255


def swapped(world: World, answer: Any, wrong: Literal["key", "subject", "type"], draw: bytes) -> JsonValue:
    """The answer of /certificates/retrieve with every certificate made wrong; labels stay as asked for."""
    items = [{**item, "certificate": _wrong(world, item, wrong, draw)} for item in answer["certificates"]]
    return {**answer, "certificates": items}


def _wrong(world: World, item: dict[str, str], wrong: str, draw: bytes) -> str:
    certificate = x509.load_der_x509_certificate(base64.b64decode(item["certificate"]))
    kind = CertificateType(item["certificateType"])
    order = ca.Order(
        serial=item["certificateSerialNumber"],
        type=_OTHER_TYPE[kind] if wrong == "type" else kind,
        holder=ca.without_suffix(read_holder(certificate)),
        public_key=cast(ec.EllipticCurvePublicKey, certificate.public_key()),
        valid_from=certificate.not_valid_before_utc,
        valid_to=certificate.not_valid_after_utc,
    )
    if wrong == "key":
        secret = int.from_bytes(draw + bytes.fromhex(order.serial)) % 2**_P256_BITS
        order = replace(order, public_key=ec.derive_private_key(secret + 1, ec.SECP256R1()).public_key())
    if wrong == "subject":
        order = replace(order, holder=_somebody_else(order.holder))
    return base64.b64encode(world.ca.issue(order).public_bytes(serialization.Encoding.DER)).decode()


def _somebody_else(holder: Holder) -> Holder:
    if holder.organization_identifier:
        return replace(
            holder,
            common_name="Obca Firma",
            organization_name="Obca Firma Sp. z o.o.",
            organization_identifier="VATPL-9999999999",
        )
    return replace(holder, common_name="Obca Osoba", surname="Osoba", serial_number="PNOPL-99010199999")
