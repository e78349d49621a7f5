"""Cards and HSMs by PKCS#11: which tokens are there, which keys and certificates are on them, signing and making keys.

The keys that come out of here sign on their token (`token_key`). A PIN is tried once: a few wrong ones lock a card.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from klucznik.domain.key_uri import KeyUri
from klucznik.domain.keytype import KeyType
from klucznik.errors import Pkcs11Error
from klucznik.keys.token_key import EcTokenKey, RsaTokenKey, Scheme, TokenKey

if TYPE_CHECKING:
    import pkcs11
    from pkcs11.types import Session, Token

# So that the keys that Klucznik makes are known among others on a token.
LABEL = "klucznik-"
# What KSeF takes signatures of (facts.md §2.4).
CURVES = ("secp256r1", "secp384r1", "secp521r1")
MIN_RSA_BITS = 2048
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


class Pkcs11:
    """PKCS#11 in this process. One call at a time: logging in and out counts for all of a process's sessions.

    Safe in threads, and in a process that was forked off.
    """

    def __init__(self, module: str | None) -> None:
        """`module`: path of the library; one that a URI names comes first."""
        self._module = module
        self._lock = threading.Lock()
        self._refused: set[str] = set()
        self._process = os.getpid()
        self._stale = False

    def tokens(self, wanted: KeyUri, pin: str | None = None) -> list[FoundToken]:
        """Every token that `wanted` fits, and what is on it. With a PIN exactly one must fit.

        Raises:
            Pkcs11Error
        """
        with self._alone(wanted):
            found = list(self._fitting(wanted)) if pin is None else [self._token(wanted)]
            return [self._contents(token, wanted, pin) for token in found]

    def check(self, wanted: KeyUri, pin: str | None) -> None:
        """Log in to the one token that `wanted` fits, and out; raises Pkcs11Error."""
        with self._alone(wanted), self._session(wanted, pin):
            return

    def key(self, wanted: KeyUri, pin: str | None, certificate: x509.Certificate | None = None) -> TokenKey:
        """The one key that `wanted` names.

        Args:
            certificate: of the key, for a token that tells no public key.

        Raises:
            Pkcs11Error: ``pkcs11_uri_names_no_key``, ``pkcs11_key_missing``, ``pkcs11_keys_alike``,
                ``pkcs11_public_key_missing``, ``pkcs11_key_unsuitable``, and what is wrong with the token or its PIN.
        """
        if not wanted.names_key:
            raise Pkcs11Error("pkcs11_uri_names_no_key")
        with self._alone(wanted), self._session(wanted, pin) as session:
            found = self._private_key(session, wanted)
            public_key = self._public_key(session, found, certificate)
        if public_key is None:
            raise Pkcs11Error("pkcs11_public_key_missing", key=str(wanted))
        return self._as_key(wanted, pin, public_key)

    def certificate(self, wanted: KeyUri, key: TokenKey) -> x509.Certificate | None:
        """The certificate of `key` on the same token: the one that lasts longest. Certificates need no PIN."""
        with self._alone(wanted), self._session(wanted.of_token, None, login=False) as session:
            own = [one for _, _, one in _certificates(session) if _key_of(one) == key.public_key()]
        return max(own, key=lambda certificate: certificate.not_valid_after_utc, default=None)

    def make_key(self, token: KeyUri, pin: str | None, key_type: KeyType, key_id: str) -> TokenKey:
        """A new key on a token: it stays there, sensitive and not extractable.

        Args:
            key_id: hexadecimal; its ``CKA_ID``, and the end of its label.

        Raises:
            Pkcs11Error
        """
        import pkcs11
        from pkcs11.util.ec import encode_named_curve_parameters

        made = replace(token, object=f"{LABEL}{key_id}", id=bytes.fromhex(key_id))
        with self._alone(token), self._session(token, pin, writes=True) as session:
            how: dict[str, Any] = {
                "id": made.id,
                "label": made.object,
                "store": True,
                "capabilities": pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY,
                "private_template": {
                    pkcs11.Attribute.PRIVATE: True,
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.EXTRACTABLE: False,
                },
            }
            if key_type is KeyType.RSA:
                public, private = session.generate_keypair(pkcs11.KeyType.RSA, 2048, **how)
            else:
                curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
                parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
                public, private = parameters.generate_keypair(**how)
            if private[pkcs11.Attribute.EXTRACTABLE] or not private[pkcs11.Attribute.SENSITIVE]:
                raise Pkcs11Error("pkcs11_key_extractable", token=str(token))
            public_key = _read(public)
        return self._as_key(made, pin, public_key)

    # ── signing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _as_key(self, uri: KeyUri, pin: str | None, public_key: object | None) -> TokenKey:
        def sign(scheme: Scheme, digest: bytes) -> bytes:
            return self._sign(uri, pin, scheme, digest)

        if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size >= MIN_RSA_BITS:
            return RsaTokenKey(uri, public_key, sign)
        if isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in CURVES:
            return EcTokenKey(uri, public_key, sign)
        raise Pkcs11Error("pkcs11_key_unsuitable", key=str(uri), kind=_kind(public_key))

    def _sign(self, uri: KeyUri, pin: str | None, scheme: Scheme, digest: bytes) -> bytes:
        import pkcs11

        mechanisms: dict[Scheme, tuple[pkcs11.Mechanism, object]] = {
            Scheme.ECDSA: (pkcs11.Mechanism.ECDSA, None),
            Scheme.RSA_PKCS1: (pkcs11.Mechanism.RSA_PKCS, None),
            Scheme.RSA_PSS_SHA256: (
                pkcs11.Mechanism.RSA_PKCS_PSS,
                (pkcs11.Mechanism.SHA256, pkcs11.MGF.SHA256, 32),
            ),
        }
        mechanism, parameters = mechanisms[scheme]
        with self._alone(uri), self._session(uri, pin) as session:
            key = self._private_key(session, uri)
            again = pin if _told(key, pkcs11.Attribute.ALWAYS_AUTHENTICATE) else None
            signed: bytes = key.sign(digest, mechanism=mechanism, mechanism_param=parameters, pin=again)
        return signed

    @contextmanager
    def _alone(self, wanted: KeyUri) -> Iterator[None]:
        with self._lock:
            try:
                with _said(wanted):
                    yield
            except Pkcs11Error as error:
                # Many libraries do not find a token again that was away until they begin anew.
                self._stale = self._stale or error.passing
                raise

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _library(self, wanted: KeyUri) -> Any:
        module = wanted.module or self._module
        if module is None:
            raise Pkcs11Error("pkcs11_module_not_given")
        if not Path(module).is_file():
            raise Pkcs11Error("pkcs11_module_missing", module=module)
        try:
            import pkcs11
        except ImportError:
            raise Pkcs11Error("pkcs11_not_installed") from None
        try:
            library = pkcs11.lib(module)
            if self._stale or os.getpid() != self._process:  # what was loaded before a fork is the parent's
                library.reinitialize()
                self._stale, self._process = False, os.getpid()
        except pkcs11.PKCS11Error:
            raise Pkcs11Error("pkcs11_module_unusable", module=module) from None
        return library

    def _fitting(self, wanted: KeyUri) -> Iterator[Token]:
        # Not by the library's own search: one slot that does not answer would end it.
        for slot in self._library(wanted).get_slots(token_present=True):
            token = _token_in(slot)
            if token is not None and _uri_of(token).agrees(wanted):
                yield token

    def _token(self, wanted: KeyUri) -> Token:
        found = list(self._fitting(wanted))
        if not found:
            raise Pkcs11Error("pkcs11_token_missing", token=str(wanted.of_token))
        if len(found) > 1:
            raise Pkcs11Error("pkcs11_tokens_alike", token=str(wanted.of_token), count=len(found))
        return found[0]

    @contextmanager
    def _session(
        self, wanted: KeyUri, pin: str | None, *, writes: bool = False, login: bool = True
    ) -> Iterator[Session]:
        token = self._token(wanted)
        with self._opened(token, wanted, pin if login else None, writes=writes, login=login) as session:
            yield session

    @contextmanager
    def _opened(
        self, token: Token, wanted: KeyUri, pin: str | None, *, writes: bool = False, login: bool = True
    ) -> Iterator[Session]:
        import pkcs11

        name = str(wanted.of_token)
        needs_pin = login and bool(token.flags & pkcs11.TokenFlag.LOGIN_REQUIRED)
        if needs_pin and pin is None:
            raise Pkcs11Error("pkcs11_pin_needed", token=name)
        tried = hashlib.sha256(f"{wanted.module or self._module}\0{_uri_of(token)}\0{pin}".encode()).hexdigest()
        if needs_pin and tried in self._refused:
            raise Pkcs11Error("pkcs11_pin_refused", token=name)
        try:
            session = token.open(rw=writes, user_pin=pin if needs_pin else None)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked):
            # Never again in this process: whoever wakes work over and over would lock the card.
            self._refused.add(tried)
            raise
        try:
            yield session
        finally:
            # A token that was taken out cannot be closed either; what happened first is what counts.
            with _ignoring_the_library():
                session.close()

    def _private_key(self, session: Session, wanted: KeyUri) -> Any:
        import pkcs11

        template: dict[Any, Any] = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, **_searched(wanted)}
        found = list(session.get_objects(template))
        if not found:
            raise Pkcs11Error("pkcs11_key_missing", key=str(wanted))
        if len(found) > 1:
            raise Pkcs11Error("pkcs11_keys_alike", key=str(wanted), count=len(found))
        return found[0]

    def _public_key(self, session: Session, key: Any, certificate: x509.Certificate | None) -> object | None:
        """From its public object; from what an RSA key tells itself; from its certificate."""
        import pkcs11

        identifier = _told(key, pkcs11.Attribute.ID)
        if identifier:
            template = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.Attribute.ID: identifier}
            for public in session.get_objects(template):
                if (public_key := _read(public)) is not None:
                    return public_key
        if (public_key := _read_rsa(key)) is not None:
            return public_key
        for place, _, one in _certificates(session):
            if identifier and place == identifier:
                return _key_of(one)
        return None if certificate is None else _key_of(certificate)

    # ── listing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _contents(self, token: Token, wanted: KeyUri, pin: str | None) -> FoundToken:
        import pkcs11

        base = replace(_uri_of(token), module=wanted.module)
        found: dict[bytes, FoundObject] = {}

        def add(identifier: bytes, label: str, **seen: Any) -> None:
            place = identifier or label.encode()
            known = found.get(place) or FoundObject(replace(base, object=label or None, id=identifier or None))
            found[place] = replace(known, **{name: value for name, value in seen.items() if value is not None})

        with self._opened(token, wanted, pin, login=pin is not None) as session:
            for kind in (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY):
                for one in session.get_objects({pkcs11.Attribute.CLASS: kind}):
                    identifier, label = _told(one, pkcs11.Attribute.ID), _told(one, pkcs11.Attribute.LABEL)
                    private = True if kind is pkcs11.ObjectClass.PRIVATE_KEY else None
                    add(identifier or b"", label or "", kind=_kind(_read(one)), private_key=private)
            for identifier, label, certificate in sorted(_certificates(session), key=_last_day):
                add(identifier, label, kind=_kind(_key_of(certificate)), certificate=certificate)
        return FoundToken(base, _how_low(token), pin is not None, tuple(found.values()))


@dataclass(frozen=True)
class KeyToken:
    """The token on which an installation makes and keeps its keys.

    Attributes:
        uri: of the token.
        pin: None where it was not set: then each use says so.
    """

    pkcs11: Pkcs11
    uri: KeyUri
    pin: str | None = field(repr=False)

    def check(self) -> None:
        """Log in and out; raises Pkcs11Error."""
        self.pkcs11.check(self.uri, self.pin)

    def make_key(self, key_type: KeyType, key_id: str) -> TokenKey:
        """A new key; raises Pkcs11Error."""
        return self.pkcs11.make_key(self.uri, self.pin, key_type, key_id)

    def key(self, uri: KeyUri) -> TokenKey:
        """A key by its name in the vault. The PIN of this token is shown to no other.

        Raises:
            Pkcs11Error: ``pkcs11_other_token`` and those of `Pkcs11.key`.
        """
        if not self.uri.agrees(uri):
            raise Pkcs11Error("pkcs11_other_token", key=str(uri), token=str(self.uri))
        return self.pkcs11.key(replace(self.uri, object=uri.object, id=uri.id), self.pin)


@contextmanager
def _said(wanted: KeyUri) -> Iterator[None]:
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
def _ignoring_the_library() -> Iterator[None]:
    import pkcs11

    try:
        yield
    except pkcs11.PKCS11Error:
        return


def _token_in(slot: Any) -> Token | None:
    import pkcs11

    try:
        token: Token = slot.get_token()
    except pkcs11.PKCS11Error:
        return None
    return token if token.flags & pkcs11.TokenFlag.TOKEN_INITIALIZED else None


def _uri_of(token: Token) -> KeyUri:
    serial = token.serial.decode("ascii", "replace").strip()
    return KeyUri(
        token=token.label.strip() or None,
        serial=serial or None,
        manufacturer=token.manufacturer_id.strip() or None,
        model=token.model.strip() or None,
    )


def _how_low(token: Token) -> str | None:
    import pkcs11

    flags = pkcs11.TokenFlag
    low = ((flags.USER_PIN_LOCKED, "locked"), (flags.USER_PIN_FINAL_TRY, "last_try"))
    several = (*low, (flags.USER_PIN_COUNT_LOW, "few_tries"))
    return next((name for flag, name in several if token.flags & flag), None)


def _searched(wanted: KeyUri) -> dict[Any, Any]:
    import pkcs11

    given = {pkcs11.Attribute.LABEL: wanted.object, pkcs11.Attribute.ID: wanted.id}
    return {attribute: value for attribute, value in given.items() if value is not None}


def _told(thing: Any, attribute: Any) -> Any:
    """An attribute, or None where the token has none or keeps it to itself."""
    with _ignoring_the_library():
        return thing[attribute]
    return None


def _read(public: Any) -> object | None:
    """The public key of a public object."""
    import pkcs11
    from pkcs11.util.ec import encode_ec_public_key

    if _told(public, pkcs11.Attribute.KEY_TYPE) is not pkcs11.KeyType.EC:
        return _read_rsa(public)
    if _told(public, pkcs11.Attribute.CLASS) is not pkcs11.ObjectClass.PUBLIC_KEY:
        return None
    with _ignoring_the_library():
        try:
            return load_der_public_key(encode_ec_public_key(public))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            return None
    return None


def _read_rsa(key: Any) -> object | None:
    """Of an RSA key, public or private, both of which hold the public numbers."""
    import pkcs11

    modulus, exponent = _told(key, pkcs11.Attribute.MODULUS), _told(key, pkcs11.Attribute.PUBLIC_EXPONENT)
    if not modulus or not exponent:
        return None
    try:
        return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    except ValueError:
        return None


def _certificates(session: Session) -> list[tuple[bytes, str, x509.Certificate]]:
    """The certificates on a token with id and label; what cannot be read is left out."""
    import pkcs11

    found: list[tuple[bytes, str, x509.Certificate]] = []
    for one in session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}):
        content = _told(one, pkcs11.Attribute.VALUE) or b""
        identifier, label = _told(one, pkcs11.Attribute.ID), _told(one, pkcs11.Attribute.LABEL)
        with suppress(ValueError, x509.InvalidVersion):
            found.append((identifier or b"", label or "", x509.load_der_x509_certificate(content)))
    return found


def _last_day(found: tuple[bytes, str, x509.Certificate]) -> datetime:
    return found[2].not_valid_after_utc


def _key_of(certificate: x509.Certificate) -> object | None:
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _kind(public_key: object | None) -> str | None:
    if isinstance(public_key, rsa.RSAPublicKey):
        return f"RSA {public_key.key_size}"
    return public_key.curve.name if isinstance(public_key, ec.EllipticCurvePublicKey) else None
