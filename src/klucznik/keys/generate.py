"""New private keys, of the kinds that KSeF certifies.

Keeping them lives in `vault`, asking for a certificate in `csr`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from klucznik.domain.keytype import KeyType

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def generate_key(key_type: KeyType = KeyType.EC) -> PrivateKey:
    """A fresh key: EC P-256 or RSA 2048, the only ones that KSeF certifies (facts.md §3.5).

    One key serves one certificate: KSeF rejects a key that was certified for somebody else.
    """
    if key_type is KeyType.EC:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
