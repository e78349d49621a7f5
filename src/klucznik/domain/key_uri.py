"""How a key on a card or an HSM is named: a PKCS#11 URI (RFC 7512). Where it leads is for `keys.pkcs11`.

A PIN is no part of a name: URIs stand in arguments, files and logs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from urllib.parse import quote, unquote_to_bytes

from klucznik.domain.values import InvalidValue

SCHEME = "pkcs11:"
_TYPES = ("private", "public", "cert")  # one name leads to the key, its public half and its certificate
_PIN = ("pin-value", "pin-source")
_LONGEST = 2000
# What RFC 7512 lets stand for itself in a value, in the path or the query; everything else is percent-encoded.
_VALUE = re.compile(r"(?:[\w\-.~:\[\]@!$'()*+,=&/|]|%[0-9a-fA-F]{2})+", re.ASCII)


@dataclass(frozen=True)
class KeyUri:
    """A token, or a key on one. What is None matches anything.

    Attributes:
        token: label of the token.
        object: label of the key (``CKA_LABEL``).
        id: of the key (``CKA_ID``).
        module: path of the PKCS#11 library, where it is not the one of the installation.
    """

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None
    module: str | None = None

    @classmethod
    def parse(cls, text: str) -> KeyUri:
        """Read a URI.

        Raises:
            InvalidValue: ``pkcs11_uri_holds_pin``; ``pkcs11_uri_attribute_unknown`` (``name``);
                ``pkcs11_uri_malformed``. The URI itself is never repeated.
        """
        if not text.lower().startswith(SCHEME) or len(text) > _LONGEST:
            raise InvalidValue("pkcs11_uri_malformed")
        path, _, query = text[len(SCHEME) :].partition("?")
        written = _attributes(path, ";") + _attributes(query, "&")
        if any(name in _PIN for name, _ in written):
            raise InvalidValue("pkcs11_uri_holds_pin")
        if len({name for name, _ in written}) < len(written):
            raise InvalidValue("pkcs11_uri_malformed")
        given = dict(written)
        if given.pop("type", "private") not in _TYPES:
            raise InvalidValue("pkcs11_uri_malformed")
        known = {one.name for one in fields(cls)} - {"id", "module"}
        for name in given:
            if name not in known | {"id", "module-path"}:
                raise InvalidValue("pkcs11_uri_attribute_unknown", name=name[:40])
        texts = {name: _text(value) for name, value in given.items() if name in known}
        module = given.get("module-path")
        identifier = given.get("id")
        return cls(
            **texts,
            id=None if identifier is None else _bytes(identifier),
            module=None if module is None else _text(module),
        )

    @property
    def names_key(self) -> bool:
        """Whether it leads to a key, and not to a token alone."""
        return self.object is not None or self.id is not None

    @property
    def of_token(self) -> KeyUri:
        """The token alone."""
        return replace(self, object=None, id=None)

    def agrees(self, other: KeyUri) -> bool:
        """Whether both may mean the same token: they differ in nothing that both say about it."""
        pairs = (
            (self.token, other.token),
            (self.serial, other.serial),
            (self.manufacturer, other.manufacturer),
            (self.model, other.model),
        )
        return all(one is None or another is None or one == another for one, another in pairs)

    def __str__(self) -> str:
        texts = [
            f"{one.name}={quote(value, safe='')}"
            for one in fields(self)
            if one.name != "module" and isinstance(value := getattr(self, one.name), str)
        ]
        if self.id is not None:
            texts.append("id=" + "".join(f"%{byte:02x}" for byte in self.id))
        query = "" if self.module is None else f"?module-path={quote(self.module, safe='/')}"
        return SCHEME + ";".join(texts) + query


def _attributes(part: str, separator: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for piece in part.split(separator) if part else ():
        name, sign, value = piece.partition("=")
        if not sign or not name:
            raise InvalidValue("pkcs11_uri_malformed")
        found.append((name, value))
    return found


def _text(value: str) -> str:
    try:
        text = _bytes(value).decode()
    except UnicodeDecodeError:
        raise InvalidValue("pkcs11_uri_malformed") from None
    if not text or not text.isprintable():
        raise InvalidValue("pkcs11_uri_malformed")
    return text


def _bytes(value: str) -> bytes:
    if not _VALUE.fullmatch(value):
        raise InvalidValue("pkcs11_uri_malformed")
    return unquote_to_bytes(value)
