"""Counts guesses of passwords and codes before they are looked at, and makes whoever guesses too often wait."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from dataclasses import dataclass, field

from sqlalchemy import Connection as Transaction

from klucznik.domain.audit import Entry, Event
from klucznik.domain.guesses import KEPT, About, Guesses, worth_recording
from klucznik.errors import TooManyAttempts
from klucznik.services import audit
from klucznik.services.installation import Installation
from klucznik.storage import guesses, users


@dataclass(frozen=True)
class Guesser:
    """Who guesses, as far as it is known.

    Attributes:
        email: of the account that it is about, in lower case; whether there is one is not asked.
        address: of the client; None where it is not known (a socket of this machine).
        device: the browser's device cookie, if any.
        code_of: id of the user whose second factor is guessed at, once the password was right.
    """

    email: str
    address: str | None = None
    device: str | None = field(default=None, repr=False)
    code_of: str | None = None


async def count_guess(installation: Installation, who: Guesser) -> None:
    """Count one guess, which may then be looked at.

    Raises:
        TooManyAttempts: it may not, and is not counted.
    """
    await _count(installation, _names(installation, who), who)


async def count_asking(installation: Installation, email: str, address: str | None) -> None:
    """Count one that asks for a link to an account, whether there is one or not; apart from guesses.

    Raises:
        TooManyAttempts: it may not be answered, and is not counted.
    """
    names = [(About.LINK, _name(About.LINK, email))]
    if address is not None:
        names.append((About.ASKING, _name(About.ASKING, _network(address))))
    await _count(installation, names, None)


async def _count(installation: Installation, names: list[tuple[About, str]], who: Guesser | None) -> None:
    """Args: who: whose guess it is; None: it is none, and the log tells of what is done for it alone."""
    # Blocked ones are sent away by a look alone: a flood of them writes nothing.
    await installation.database.read(lambda transaction: _check(installation, transaction, names))

    def commit(transaction: Transaction) -> None:
        now = installation.clock.now()
        guesses.forget_old(transaction, before=now - KEPT)
        # In one order, so that two who lock several names cannot wait for each other.
        locked = [(about, name, guesses.load_to_count(transaction, name)) for about, name in sorted(names)]
        _check(installation, transaction, names)
        for about, name, found in locked:
            before = found if found is not None and not found.is_forgotten(now) else Guesses(0, now)
            counted = before.one_more(about, now)
            guesses.put(transaction, name, counted)
            if who is not None and worth_recording(counted.number, about):
                # No word of what was typed: it may be a password in the wrong field.
                user = users.by_email(transaction, who.email)
                facts = {
                    "about": about.value,
                    "number": counted.number,
                    "user": None if user is None else user.id,
                    "address": who.address,
                }
                audit.record(installation, transaction, None, Entry(Event.SIGN_INS_FAILED, facts))

    await installation.database.write(commit)


def forget_guesses(installation: Installation, transaction: Transaction, who: Guesser) -> None:
    """It was right: those about the account are forgotten, those of the address are not (it may guess at others)."""
    for about, name in _names(installation, who):
        if about is not About.ADDRESS:
            guesses.forget(transaction, name)


def device_cookie(installation: Installation, email: str) -> str:
    """For a browser that has signed in: its guesses about this account are counted apart from those of strangers."""
    key_id, nonce = installation.vault.current_key_id, secrets.token_urlsafe(16)
    return f"{nonce}.{key_id}.{_mac(installation, email, nonce, key_id)}"


def _is_device(installation: Installation, email: str, cookie: str) -> bool:
    parts = cookie.split(".")
    if len(parts) != 3 or not installation.vault.knows(parts[1]):
        return False
    nonce, key_id, mac = parts
    return hmac.compare_digest(mac.encode(), _mac(installation, email, nonce, key_id).encode())


def _mac(installation: Installation, email: str, nonce: str, key_id: str) -> str:
    return installation.vault.mac("\n".join(("klucznik device 1", email, nonce)).encode(), key_id).hex()


def _names(installation: Installation, who: Guesser) -> list[tuple[About, str]]:
    if who.code_of is not None:
        return [(About.CODE, _name(About.CODE, who.code_of))]
    if who.device is not None and _is_device(installation, who.email, who.device):
        return [(About.DEVICE, _name(About.DEVICE, who.device))]
    names = [(About.ACCOUNT, _name(About.ACCOUNT, who.email))]
    if who.address is not None:
        names.append((About.ADDRESS, _name(About.ADDRESS, _network(who.address))))
    return names


def _name(about: About, value: str) -> str:
    return f"{about.value}:{hashlib.sha256(value.encode()).hexdigest()}"


def _network(address: str) -> str:
    """Whoever has one IPv6 address has 2^64 of them."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _check(installation: Installation, transaction: Transaction, names: list[tuple[About, str]]) -> None:
    now = installation.clock.now()
    found = [guesses.load(transaction, name) for _, name in names]
    ends = [one.blocked_until for one in found if one is not None and one.blocked_until is not None]
    if any(now < end for end in ends):
        raise TooManyAttempts(until=max(ends))
