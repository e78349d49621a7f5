"""Options that several commands share, and what is made of their texts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from klucznik.domain.values import InvalidValue
from klucznik.errors import CredentialError, InputError

if TYPE_CHECKING:
    from klucznik.keys.credential import Credential
    from klucznik.messages import Words

T = TypeVar("T")

Nip = Annotated[str, typer.Option("--nip", metavar="NIP", help="help.nip")]
MaybeNip = Annotated[str | None, typer.Option("--nip", metavar="NIP", help="help.nip")]
Cert = Annotated[Path | None, typer.Option("--cert", metavar="FILE", help="help.cert")]
Key = Annotated[Path | None, typer.Option("--key", metavar="FILE", help="help.key")]
P12 = Annotated[Path | None, typer.Option("--p12", metavar="FILE", help="help.p12")]
PasswordEnv = Annotated[str | None, typer.Option("--key-password-env", metavar="NAME", help="help.password_env")]
AsJson = Annotated[bool, typer.Option("--json", help="help.json")]


def parsed(parse: Callable[[str], T], text: str) -> T:
    """`text` as the domain reads it.

    Raises:
        InputError: with the domain's reason.
    """
    try:
        return parse(text)
    except InvalidValue as error:
        raise InputError(error.reason, **error.data) from None


def password_from(name: str | None) -> bytes | None:
    """A password out of the environment variable `name`. Passwords are never arguments: other users can read those.

    Raises:
        InputError: ``environment_variable_missing``.
    """
    if name is None:
        return None
    value = os.environ.get(name)
    if value is None:
        raise InputError("environment_variable_missing", name=name)
    return value.encode()


def credential_from(
    cert: Path | None, key: Path | None, p12: Path | None, password_env: str | None, *, ask: str
) -> Credential | None:
    """What the user signs in with, or None where no file was named (then the vault is asked).

    Args:
        ask: the question for a password, put only where a key needs one, none was named and a person is there.

    Raises:
        CredentialError: see `keys.credential`.
    """
    if cert is None and key is None and p12 is None:
        return None
    return with_password(lambda password: _load(cert, key, p12, password), password_from(password_env), ask=ask)


def with_password(load: Callable[[bytes | None], T], password: bytes | None, *, ask: str) -> T:
    """`load`, and once more with a password from the terminal where one turned out to be needed."""
    try:
        return load(password)
    except CredentialError as error:
        if error.reason != "password_needed" or not sys.stdin.isatty():
            raise
    return load(typer.prompt(ask, hide_input=True, err=True).encode())


def confirmed(question: str, words: Words) -> bool:
    """A yes from a person; silence, or nobody there, is a no."""
    if not sys.stdin.isatty():
        return False
    answer: str = typer.prompt(f"{question} {words.say('ask.yes_or_no')}", default="", show_default=False, err=True)
    return answer.strip().lower() in words.say("ask.yes_words").split()


def _load(cert: Path | None, key: Path | None, p12: Path | None, password: bytes | None) -> Credential:
    from klucznik.keys.credential import load_credential

    return load_credential(cert=cert, key=key, p12=p12, password=password, now=datetime.now(UTC))
