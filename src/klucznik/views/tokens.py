"""Cards and HSMs."""

from __future__ import annotations

from klucznik.keys.pkcs11_objects import FoundObject, FoundToken
from klucznik.views.parts import Json, moment


def tokens(found: list[FoundToken], unknown: frozenset[str]) -> Json:
    """`unknown`: ids of keys made by Klucznik that this vault does not know."""
    return {
        "outcome": "tokens",
        "tokens": [
            {
                "uri": str(token.uri),
                "label": token.uri.token,
                "serial": token.uri.serial,
                "manufacturer": token.uri.manufacturer,
                "model": token.uri.model,
                "pin": token.low,
                "logged_in": token.logged_in,
                "objects": [_object(one, unknown) for one in token.objects],
            }
            for token in found
        ],
    }


def _object(one: FoundObject, unknown: frozenset[str]) -> Json:
    certificate = one.certificate
    return {
        "uri": str(one.uri),
        "kind": one.kind,
        "private_key": one.private_key,
        "certificate": None
        if certificate is None
        else {
            "subject": certificate.subject.rfc4514_string(),
            "issuer": certificate.issuer.rfc4514_string(),
            "valid_from": moment(certificate.not_valid_before_utc),
            "valid_to": moment(certificate.not_valid_after_utc),
        },
        "made_by_klucznik": one.made_by_klucznik is not None,
        "unknown_to_vault": one.made_by_klucznik in unknown,
    }
