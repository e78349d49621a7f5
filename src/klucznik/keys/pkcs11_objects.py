"""What is on a token, read piece by piece: its name, its objects, their public keys; and the library's errors as ours.

Many tokens keep an attribute to themselves or hold what cannot be read: that is left out, never an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from klucznik.domain.key_uri import KeyUri
from klucznik.errors import Pkcs11Error

if TYPE_CHECKING:
    from pkcs11.types import Session, Token

# So that the keys that Klucznik makes are known among others on a token.
LABEL = "klucznik-"
# What the library calls them, and what they mean to a person.
_REASONS = {
    "PinIncorrect": "pkcs11_pin_refused",
    "PinInvalid": "pkcs11_pin_refused",
    "PinLenRange": "pkcs11_pin_refused",
    "PinLocked": "pkcs11_pin_locked",
    "PinExpired": "pkcs11_pin_not_set",
    "UserPinNotInitialized": "pkcs11_pin_not_set",
    "DeviceRemoved": "pkcs11_token_gone",
    "SessionClosed": "pkcs11_token_gone",
    "SessionHandleInvalid": "pkcs11_token_gone",
    "SlotIDInvalid": "pkcs11_token_gone",
    "TokenNotPresent": "pkcs11_token_gone",
    "TokenNotRecognised": "pkcs11_token_gone",
    "DomainParamsInvalid": "pkcs11_mechanism_unsupported",
    "FunctionNotSupported": "pkcs11_mechanism_unsupported",
    "KeySizeRange": "pkcs11_mechanism_unsupported",
    "MechanismInvalid": "pkcs11_mechanism_unsupported",
    "MechanismParamInvalid": "pkcs11_mechanism_unsupported",
    "DeviceMemory": "pkcs11_token_full",
    "SessionReadOnly": "pkcs11_token_read_only",
    "TokenWriteProtected": "pkcs11_token_read_only",
}


@dataclass(frozen=True)
class FoundToken:
    """A token in a reader, or a partition of an HSM.

    Attributes:
        low: how near the PIN is to being locked, as the token says: ``locked``, ``last_try``, ``few_tries`` or None.
        logged_in: whether its private objects could be seen as well.
    """

    uri: KeyUri
    low: str | None
    logged_in: bool
    objects: tuple[FoundObject, ...]


@dataclass(frozen=True)
class FoundObject:
    """A key, with its certificate where that is on the token too; or a certificate alone.

    Attributes:
        kind: ``RSA 2048``, ``secp256r1`` and the like; None where it cannot be read.
        private_key: whether its private key was seen (it may be there unseen without a PIN).
    """

    uri: KeyUri
    kind: str | None = None
    private_key: bool = False
    certificate: x509.Certificate | None = field(default=None, repr=False)

    @property
    def made_by_klucznik(self) -> str | None:
        """The key's id in the vault of the installation that made it, as its label says; None: made by others."""
        label = self.uri.object or ""
        return label.removeprefix(LABEL) if label.startswith(LABEL) else None


@contextmanager
def said(wanted: KeyUri) -> Iterator[None]:
    """The library's errors as ours. Their texts stay behind: only their names are known to hold no secret."""
    try:
        import pkcs11
    except ImportError:
        raise Pkcs11Error("pkcs11_not_installed") from None
    try:
        yield
    except pkcs11.PKCS11Error as error:
        name = type(error).__name__
        reason = _REASONS.get(name, "pkcs11_failed")
        raise Pkcs11Error(reason, token=str(wanted.of_token), key=str(wanted), error=name) from None


@contextmanager
def ignoring_the_library() -> Iterator[None]:
    import pkcs11

    try:
        yield
    except pkcs11.PKCS11Error:
        return


def token_in(slot: Any) -> Token | None:
    import pkcs11

    try:
        token: Token = slot.get_token()
    except pkcs11.PKCS11Error:
        return None
    return token if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED else None


def uri_of(token: Token) -> KeyUri:
    serial = token.serial.decode("ascii", "replace").strip()
    return KeyUri(
        token=token.label.strip() or None,
        serial=serial or None,
        manufacturer=token.manufacturer_id.strip() or None,
        model=token.model.strip() or None,
    )


def how_low(token: Token) -> str | None:
    import pkcs11

    flags = pkcs11.TokenFlag
    low = ((flags.USER_PIN_LOCKED, "locked"), (flags.USER_PIN_FINAL_TRY, "last_try"))
    several = (*low, (flags.USER_PIN_COUNT_LOW, "few_tries"))
    return next((name for flag, name in several if token.flags & flag), None)


def searched(wanted: KeyUri) -> dict[Any, Any]:
    import pkcs11

    given = {pkcs11.Attribute.LABEL: wanted.object, pkcs11.Attribute.ID: wanted.id}
    return {attribute: value for attribute, value in given.items() if value is not None}


def told(thing: Any, attribute: Any) -> Any:
    """An attribute, or None where the token has none or keeps it to itself."""
    with ignoring_the_library():
        return thing[attribute]
    return None


def public_key_of(public: Any) -> object | None:
    """The public key of a public object."""
    import pkcs11
    from pkcs11.util.ec import encode_ec_public_key

    if told(public, pkcs11.Attribute.KEY_TYPE) is not pkcs11.KeyType.EC:
        return rsa_key_of(public)
    if told(public, pkcs11.Attribute.CLASS) is not pkcs11.ObjectClass.PUBLIC_KEY:
        return None
    with ignoring_the_library():
        try:
            return load_der_public_key(encode_ec_public_key(public))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None
    return None


def rsa_key_of(key: Any) -> object | None:
    """Of an RSA key, public or private, both of which hold the public numbers."""
    import pkcs11

    modulus, exponent = told(key, pkcs11.Attribute.MODULUS), told(key, pkcs11.Attribute.PUBLIC_EXPONENT)
    if not modulus or not exponent:
        return None
    try:
        return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    except ValueError:
        return None


def certificates_on(session: Session) -> list[tuple[bytes, str, x509.Certificate]]:
    """The certificates on a token with id and label; what cannot be read is left out."""
    import pkcs11

    found: list[tuple[bytes, str, x509.Certificate]] = []
    for one in session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}):
        content = told(one, pkcs11.Attribute.VALUE) or b""
        identifier, label = told(one, pkcs11.Attribute.ID), told(one, pkcs11.Attribute.LABEL)
        with suppress(ValueError, x509.InvalidVersion):
            found.append((identifier or b"", label or "", x509.load_der_x509_certificate(content)))
    return found


def last_day(found: tuple[bytes, str, x509.Certificate]) -> datetime:
    return found[2].not_valid_after_utc


def key_of(certificate: x509.Certificate) -> object | None:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def kind_of(public_key: object | None) -> str | None:
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA {public_key.key_size}"
    return public_key.curve.name if isinstance(public_key, ec.EllipticCurvePublicKey) else None
