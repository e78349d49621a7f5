"""Keys on tokens beside the vault: which of them it may take in, and which of them it does not know."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from klucznik.errors import Pkcs11Error
from klucznik.keys.generate import PrivateKey
from klucznik.keys.token_key import EcTokenKey, RsaTokenKey
from klucznik.services.installation import Installation
from klucznik.storage import private_keys

if TYPE_CHECKING:
    from klucznik.keys.pkcs11_objects import FoundToken


async def check_can_be_kept(installation: Installation, private_key: PrivateKey) -> None:
    """A key on a token will be used with the installation's PIN, which no other token is shown.

    Raises:
        Pkcs11Error: ``pkcs11_token_not_set``, ``pkcs11_other_token``.
    """
    if not isinstance(private_key, EcTokenKey | RsaTokenKey):
        return
    token = installation.token_of_keys
    ours = await asyncio.to_thread(token.key, private_key.uri)
    if ours.public_key() != private_key.public_key():  # its name fits a key on ours as well
        raise Pkcs11Error("pkcs11_other_token", key=str(private_key.uri), token=str(token.uri))


def made_here(tokens: Collection[FoundToken]) -> frozenset[str]:
    """The ids of the keys that bear Klucznik's label."""
    ids = {one.made_by_klucznik for token in tokens for one in token.objects}
    return frozenset(one for one in ids if one is not None)


async def unknown_keys(installation: Installation, key_ids: frozenset[str]) -> frozenset[str]:
    """Those that no row of the vault names.

    A crash between the making of a key and its commit leaves one; nothing was sent for it. So does another
    installation on the same token: none is ever removed here.
    """
    known = await installation.database.read(lambda connection: private_keys.known(connection, key_ids))
    return key_ids - known
