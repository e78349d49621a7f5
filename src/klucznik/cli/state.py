"""What the global options say, for every command."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from klucznik.domain.environments import Environment
from klucznik.messages import Words

if TYPE_CHECKING:
    from klucznik.domain.key_uri import KeyUri
    from klucznik.keys.key_token import KeyToken
    from klucznik.keys.pkcs11 import Pkcs11


@dataclass(frozen=True)
class Settings:
    """The one settings object of a run.

    Attributes:
        database_url: ``postgresql://…``; None: the file in `home`. Like the next it may hold a secret, so both come
            from the environment alone: others can read the arguments of a process.
        master_key: base64; None: the file in `home`.
        pkcs11_module: path of the PKCS#11 library.
        token: the card or HSM where keys may be made and kept.
        pin: of that token; from the environment alone too.
        debug: show the traceback of an unexpected error.
    """

    home: Path
    environment: Environment
    ksef_url: str | None
    words: Words
    database_url: str | None = field(repr=False)
    master_key: str | None = field(repr=False)
    pkcs11_module: str | None
    token: KeyUri | None
    pin: str | None = field(repr=False)
    debug: bool

    @cached_property
    def pkcs11(self) -> Pkcs11:
        """The one of this process: it sees that two logins never meet."""
        from klucznik.keys.pkcs11 import Pkcs11

        return Pkcs11(self.pkcs11_module)

    @property
    def key_token(self) -> KeyToken | None:
        """The token where keys may be made and kept, where one is set."""
        if self.token is None:
            return None
        from klucznik.keys.key_token import KeyToken

        return KeyToken(self.pkcs11, self.token, self.pin)
