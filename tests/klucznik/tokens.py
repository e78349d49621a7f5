"""Tokens in software (SoftHSM 2) for tests of keys on cards and HSMs: one directory of them for a whole run.

The library looks for tokens when it is loaded and never again, so all are made before; each test takes its own keys.
"""

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pkcs11.util.ec import decode_ec_private_key, decode_ec_public_key
from pkcs11.util.rsa import decode_rsa_private_key, decode_rsa_public_key
from pkcs11.util.x509 import decode_x509_certificate
from tests import needs

from klucznik.domain.key_uri import KeyUri
from klucznik.keys.generate import PrivateKey
from klucznik.keys.key_token import KeyToken
from klucznik.keys.pkcs11 import Pkcs11

CONFIGURATION = "SOFTHSM2_CONF"
CARD, HSM, TWIN, LOST = "Karta", "Klucze KSeF", "Bliźniak", "Zguba"
CARD_PIN, HSM_PIN, WRONG_PIN = "kanarek-pin-karty", "kanarek-pin-hsm", "kanarek-pin-zly"
_PINS = {CARD: CARD_PIN, HSM: HSM_PIN, TWIN: CARD_PIN, LOST: CARD_PIN}


@dataclass(frozen=True)
class Tokens:
    """A card, an HSM, two tokens that are alike, and one that can be lost."""

    module: str
    directory: Path

    def pkcs11(self) -> Pkcs11:
        return Pkcs11(self.module)

    def hsm(self, *, pin: str | None = HSM_PIN) -> KeyToken:
        """The HSM as the token of an installation."""
        return KeyToken(self.pkcs11(), KeyUri(token=HSM), pin)

    def objects(self, label: str, template: dict[Any, Any]) -> list[dict[str, Any]]:
        """What the token itself says of its objects."""
        shown = ("LABEL", "ID", "SENSITIVE", "EXTRACTABLE", "ALWAYS_SENSITIVE", "NEVER_EXTRACTABLE", "LOCAL", "TOKEN")
        with self._session(label) as session:
            return [
                {name: one[getattr(pkcs11.Attribute, name)] for name in shown} for one in session.get_objects(template)
            ]

    def private_keys(self, label: str) -> list[dict[str, Any]]:
        return self.objects(label, {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})

    def private_value(self, label: str, identifier: bytes) -> object:
        """What nobody should get: the secret number of a key."""
        template = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY, pkcs11.Attribute.ID: identifier}
        with self._session(label) as session:
            (one,) = session.get_objects(template)
            is_ec = one[pkcs11.Attribute.KEY_TYPE] is pkcs11.KeyType.EC
            return one[pkcs11.Attribute.VALUE if is_ec else pkcs11.Attribute.PRIVATE_EXPONENT]

    def wrong_pin_was_given(self, label: str) -> bool:
        """Whether the token remembers a wrong PIN since the last right one."""
        token = pkcs11.lib(self.module).get_token(token_label=label)
        return bool(token.flags & pkcs11.TokenFlag.USER_PIN_COUNT_LOW)

    def put(
        self,
        label: str,
        key: PrivateKey | None,
        certificate: x509.Certificate | None = None,
        *,
        name: str | None = None,
        public: bool = True,
    ) -> KeyUri:
        """A key of the world outside and its certificate on a token; the URI of both."""
        identifier = secrets.token_bytes(4)
        named = name or f"klucz {identifier.hex()}"
        about = {pkcs11.Attribute.ID: identifier, pkcs11.Attribute.LABEL: named, pkcs11.Attribute.TOKEN: True}
        with self._session(label) as session:
            if key is not None:
                private = {
                    pkcs11.Attribute.SENSITIVE: True,
                    pkcs11.Attribute.PRIVATE: True,
                    pkcs11.Attribute.SIGN: True,
                }
                session.create_object({**_private(key), **private, **about})
                if public:
                    session.create_object({**_public(key), **about})
            if certificate is not None:
                session.create_object({**decode_x509_certificate(certificate.public_bytes(Encoding.DER)), **about})
        return KeyUri(token=label, id=identifier)

    @contextmanager
    def _session(self, label: str) -> Iterator[Any]:
        token = pkcs11.lib(self.module).get_token(token_label=label)
        with token.open(rw=True, user_pin=_PINS[label]) as session:
            yield session


def _private(key: PrivateKey) -> dict[Any, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return decode_rsa_private_key(key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    return decode_ec_private_key(key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def _public(key: PrivateKey) -> dict[Any, Any]:
    public = key.public_key()
    if isinstance(public, ec.EllipticCurvePublicKey):
        return decode_ec_public_key(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return decode_rsa_public_key(public.public_bytes(Encoding.DER, PublicFormat.PKCS1))


@contextmanager
def inserted(directory: Path) -> Iterator[Tokens]:
    """The tokens, made in `directory`, for this process and those that it starts."""
    module = needs.softhsm2()
    kept = directory / "tokens"
    kept.mkdir()
    configuration = directory / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {kept}\nobjectstore.backend = file\nlog.level = ERROR\n")
    was = os.environ.get(CONFIGURATION)
    os.environ[CONFIGURATION] = str(configuration)
    for label in (CARD, HSM, TWIN, TWIN, LOST):
        pins = ("--pin", _PINS[label], "--so-pin", "kanarek-so")
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, *pins], check=True, capture_output=True
        )
    try:
        yield Tokens(str(module), kept)
    finally:
        pkcs11.unload(str(module))
        if was is None:
            del os.environ[CONFIGURATION]
        else:
            os.environ[CONFIGURATION] = was
