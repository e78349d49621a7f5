"""With which login an issuance goes on, whoever takes it on and however long after.

In this order: the session at hand, the one that rests in the vault, the signer at hand, an Authentication certificate
in the vault. When none is left, only a person can sign (`needs_signature`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection

from klucznik.domain.certificates import CertificateType
from klucznik.domain.issuance import Issuance, IssuanceState
from klucznik.domain.sealed import KeyBinding, SealedLogin
from klucznik.errors import SignatureNeeded, SignInRefused
from klucznik.ksef import kept_tokens
from klucznik.ksef.session import Session
from klucznik.services.installation import Installation
from klucznik.services.progress import Listener, unheard
from klucznik.services.sign_in import SignedIn, Signer, sign_in, sign_out, signer_from_vault
from klucznik.storage import certificates, logins


@dataclass
class Login:
    """The login of one issuance while somebody works on it.

    Args:
        signed_in: a session of the issuance's subject, where there is one already.
        signer: what can sign in for the subject in this process (a user's key); None: the vault alone.
    """

    installation: Installation
    issuance: Issuance
    signed_in: SignedIn | None = None
    signer: Signer | None = field(default=None, repr=False)
    listener: Listener = unheard
    _tried: set[str] = field(default_factory=set, init=False, repr=False)
    _made_here: bool = field(default=False, init=False, repr=False)

    async def session(self) -> Session:
        """A session to work with.

        Raises:
            SignatureNeeded: nobody here can sign in for the subject any more.
            KsefUnavailable: KSeF does not let anybody in now.
        """
        if self.signed_in is None:
            self.signed_in = await self._kept() or await self._anew()
        return self.signed_in.session

    def lost(self) -> None:
        """The session at hand is over; the next call of `session` finds another."""
        self.signed_in = None

    def is_left_open(self, ended: Issuance) -> bool:
        """Whether the session at hand is that of whoever ordered, who has more to do with it."""
        return ended.stays_signed_in and ended.state is not IssuanceState.DONE and not self._made_here

    async def end(self) -> None:
        """End the session at hand, where there is one."""
        if self.signed_in is not None:
            await sign_out(self.signed_in)

    async def _kept(self) -> SignedIn | None:
        if "kept" in self._tried:
            return None
        self._tried.add("kept")
        installation, issuance = self.installation, self.issuance
        sealed = await installation.database.read(
            lambda connection: logins.load(connection, issuance.id, now=installation.clock.now())
        )
        plain = None if sealed is None else installation.vault.unseal_login(sealed, binding=_binding(issuance))
        if plain is None:
            return None
        session = installation.ksef.resume(issuance.context, kept_tokens.from_bytes(plain))
        return SignedIn(session, issuance.subject)

    async def _anew(self) -> SignedIn:
        signer = await self._next_signer()
        if signer is None:
            raise SignatureNeeded("login_over")
        try:
            signed_in = await sign_in(self.installation, self.issuance.context, signer, listener=self.listener)
        except SignInRefused as error:
            if "vault" in self._tried and not error.passing:
                # What the vault holds signs in no more (revoked, rights lost): a person has to look.
                raise SignatureNeeded("login_refused", code=error.code, text=error.text) from None
            raise
        self._made_here = True
        sealed = seal(self.installation, self.issuance, signed_in)
        if sealed is not None:
            await self.installation.database.write(lambda connection: keep(connection, sealed, signed_in))
        return signed_in

    async def _next_signer(self) -> Signer | None:
        if self.signer is not None and "signer" not in self._tried:
            self._tried.add("signer")
            return self.signer
        if "vault" in self._tried:
            return None
        self._tried.add("vault")
        installation, issuance = self.installation, self.issuance
        held = await installation.database.read(
            lambda connection: certificates.of_subject(connection, issuance.environment, issuance.subject)
        )
        now = installation.clock.now()
        for certificate in held:
            # One that was issued a moment ago and is still to be proved may try: signing in is its proof.
            alive = certificate.revoked_at is None and certificate.valid_from <= now < certificate.valid_to
            if certificate.type is CertificateType.AUTHENTICATION and alive:
                return await signer_from_vault(installation, certificate)
        return None


def seal(installation: Installation, issuance: Issuance, signed_in: SignedIn) -> SealedLogin | None:
    """The login as it may rest in the database."""
    tokens = signed_in.session.tokens
    if tokens is None:
        return None
    return installation.vault.seal_login(issuance.id, kept_tokens.to_bytes(tokens), binding=_binding(issuance))


def keep(connection: Connection, sealed: SealedLogin, signed_in: SignedIn) -> None:
    """Save a sealed login until its refresh token runs out."""
    tokens = signed_in.session.tokens
    if tokens is not None:
        logins.put(connection, sealed, expires_at=tokens.refresh.valid_until)


def _binding(issuance: Issuance) -> KeyBinding:
    return KeyBinding(issuance.environment, issuance.subject.type, issuance.subject.value)
