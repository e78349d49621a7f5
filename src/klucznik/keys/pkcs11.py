"""Cards and HSMs by PKCS#11: which tokens are there, signing and making keys on them. What is on one: `pkcs11_objects`.

The keys that come out of here sign on their token (`token_key`). A PIN is tried once: a few wrong ones lock a card.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from klucznik.domain.key_uri import KeyUri
from klucznik.domain.keytype import KeyType
from klucznik.errors import Pkcs11Error
from klucznik.keys.pkcs11_objects import (
    LABEL,
    FoundObject,
    FoundToken,
    certificates_on,
    how_low,
    ignoring_the_library,
    key_of,
    kind_of,
    last_day,
    public_key_of,
    rsa_key_of,
    said,
    searched,
    token_in,
    told,
    uri_of,
)
from klucznik.keys.token_key import EcTokenKey, RsaTokenKey, Scheme, TokenKey

if TYPE_CHECKING:
    import pkcs11
    from pkcs11.types import Session, Token

# What KSeF takes signatures of (facts.md §2.4).
CURVES = ("secp256r1", "secp384r1", "secp521r1")
MIN_RSA_BITS = 2048


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
            own = [one for _, _, one in certificates_on(session) if key_of(one) == key.public_key()]
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
            public_key = public_key_of(public)
        return self._as_key(made, pin, public_key)

    # ── signing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _as_key(self, uri: KeyUri, pin: str | None, public_key: object | None) -> TokenKey:
        def sign(scheme: Scheme, digest: bytes) -> bytes:
            return self._sign(uri, pin, scheme, digest)

        if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size >= MIN_RSA_BITS:
            return RsaTokenKey(uri, public_key, sign)
        if isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in CURVES:
            return EcTokenKey(uri, public_key, sign)
        raise Pkcs11Error("pkcs11_key_unsuitable", key=str(uri), kind=kind_of(public_key))

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
            again = pin if told(key, pkcs11.Attribute.ALWAYS_AUTHENTICATE) else None
            signed: bytes = key.sign(digest, mechanism=mechanism, mechanism_param=parameters, pin=again)
        return signed

    @contextmanager
    def _alone(self, wanted: KeyUri) -> Iterator[None]:
        with self._lock:
            try:
                with said(wanted):
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
            token = token_in(slot)
            if token is not None and uri_of(token).agrees(wanted):
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
        tried = hashlib.sha256(f"{wanted.module or self._module}\0{uri_of(token)}\0{pin}".encode()).hexdigest()
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
            with ignoring_the_library():
                session.close()

    def _private_key(self, session: Session, wanted: KeyUri) -> Any:
        import pkcs11

        template: dict[Any, Any] = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, **searched(wanted)}
        found = list(session.get_objects(template))
        if not found:
            raise Pkcs11Error("pkcs11_key_missing", key=str(wanted))
        if len(found) > 1:
            raise Pkcs11Error("pkcs11_keys_alike", key=str(wanted), count=len(found))
        return found[0]

    def _public_key(self, session: Session, key: Any, certificate: x509.Certificate | None) -> object | None:
        """From its public object; from what an RSA key tells itself; from its certificate."""
        import pkcs11

        identifier = told(key, pkcs11.Attribute.ID)
        if identifier:
            template = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY, pkcs11.Attribute.ID: identifier}
            for public in session.get_objects(template):
                if (public_key := public_key_of(public)) is not None:
                    return public_key
        if (public_key := rsa_key_of(key)) is not None:
            return public_key
        for place, _, one in certificates_on(session):
            if identifier and place == identifier:
                return key_of(one)
        return None if certificate is None else key_of(certificate)

    # ── listing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _contents(self, token: Token, wanted: KeyUri, pin: str | None) -> FoundToken:
        import pkcs11

        base = replace(uri_of(token), module=wanted.module)
        found: dict[bytes, FoundObject] = {}

        def add(identifier: bytes, label: str, **seen: Any) -> None:
            place = identifier or label.encode()
            known = found.get(place) or FoundObject(replace(base, object=label or None, id=identifier or None))
            found[place] = replace(known, **{name: value for name, value in seen.items() if value is not None})

        with self._opened(token, wanted, pin, login=pin is not None) as session:
            for kind in (pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.ObjectClass.PUBLIC_KEY):
                for one in session.get_objects({pkcs11.Attribute.CLASS: kind}):
                    identifier, label = told(one, pkcs11.Attribute.ID), told(one, pkcs11.Attribute.LABEL)
                    private = True if kind is pkcs11.ObjectClass.PRIVATE_KEY else None
                    add(identifier or b"", label or "", kind=kind_of(public_key_of(one)), private_key=private)
            for identifier, label, certificate in sorted(certificates_on(session), key=last_day):
                add(identifier, label, kind=kind_of(key_of(certificate)), certificate=certificate)
        return FoundToken(base, how_low(token), pin is not None, tuple(found.values()))
