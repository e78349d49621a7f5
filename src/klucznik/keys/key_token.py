"""The card or HSM on which an installation makes and keeps its keys, instead of the vault."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from klucznik.domain.key_uri import KeyUri
from klucznik.domain.keytype import KeyType
from klucznik.errors import Pkcs11Error
from klucznik.keys.pkcs11 import Pkcs11
from klucznik.keys.token_key import TokenKey


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
