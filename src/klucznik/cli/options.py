"""Options that several commands share, and what is made of their texts."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from klucznik.domain.key_uri import SCHEME, KeyUri
from klucznik.domain.values import InvalidValue
from klucznik.errors import CredentialError, InputError
from klucznik.operations import LogFormat, LogLevel

if TYPE_CHECKING:
    from klucznik.cli.state import Settings
    from klucznik.keys.credential import Credential
    from klucznik.messages import Words

T = TypeVar("T")

Nip = Annotated[str, typer.Option("--nip", metavar="NIP", help="help.nip")]
MaybeNip = Annotated[str | None, typer.Option("--nip", metavar="NIP", help="help.nip")]
Cert = Annotated[Path | None, typer.Option("--cert", metavar="FILE", help="help.cert")]
Key = Annotated[str | None, typer.Option("--key", metavar="FILE|URI", help="help.key")]
P12 = Annotated[Path | None, typer.Option("--p12", metavar="FILE", help="help.p12")]
PasswordEnv = Annotated[str | None, typer.Option("--key-password-env", metavar="NAME", help="help.password_env")]
AsJson = Annotated[bool, typer.Option("--json", help="help.json")]
MaybeLogFormat = Annotated[
    LogFormat | None,
    typer.Option("--log-format", envvar="KLUCZNIK_LOG_FORMAT", metavar="json|text", help="help.log_format"),
]
OneLogLevel = Annotated[
    LogLevel,
    typer.Option("--log-level", envvar="KLUCZNIK_LOG_LEVEL", metavar="debug|info|warning|error", help="help.log_level"),
]
MetricsPort = Annotated[
    int | None, typer.Option("--metrics-port", min=0, max=65535, metavar="N", help="help.metrics_port")
]


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


def key_at(text: str | None) -> Path | KeyUri | None:
    """Where a key is: in a file, or on a card or HSM; raises InputError with what `KeyUri.parse` finds."""
    if text is None:
        return None
    return parsed(KeyUri.parse, text) if text.lower().startswith(SCHEME) else Path(text)


def question_for(key: Path | KeyUri | None) -> str:
    """Which secret opens it; a key of the catalogue."""
    return "ask.pin" if isinstance(key, KeyUri) else "ask.key_password"


def credential_from(
    cert: Path | None, key: str | None, p12: Path | None, password_env: str | None, settings: Settings
) -> Credential | None:
    """What the user signs in with, or None where no file was named (then the vault is asked).

    A password, or a token's PIN, is asked for only where it is needed, none was named and a person is there.

    Raises:
        CredentialError: see `keys.credential`.
    """
    if cert is None and key is None and p12 is None:
        return None
    where, now = key_at(key), datetime.now(UTC)

    def load(password: bytes | None) -> Credential:
        from klucznik.keys.credential import load_credential

        return load_credential(cert=cert, key=where, p12=p12, password=password, pkcs11=settings.pkcs11, now=now)

    return with_password(load, password_from(password_env), ask=settings.words.say(question_for(where)))


def with_password(load: Callable[[bytes | None], T], password: bytes | None, *, ask: str) -> T:
    """`load`, and once more with a password from the terminal where one turned out to be needed."""
    try:
        return load(password)
    except CredentialError as error:
        if error.reason not in ("password_needed", "pkcs11_pin_needed") or not sys.stdin.isatty():
            raise
    return load(typer.prompt(ask, hide_input=True, err=True).encode())


def confirmed(question: str, words: Words) -> bool:
    """A yes from a person; silence, or nobody there, is a no."""
    if not sys.stdin.isatty():
        return False
    answer = asked(f"{question} {words.say('ask.yes_or_no')}")
    return answer.strip().lower() in words.say("ask.yes_words").split()


def asked(question: str) -> str:
    """What a person answers, perhaps nothing. Ctrl-C ends it at once, also in the middle of a session with KSeF."""
    # While a session runs, asyncio takes the first Ctrl-C for itself, and the question would go on waiting.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        answer: str = typer.prompt(question, default="", show_default=False, err=True)
    finally:
        signal.signal(signal.SIGINT, before)
    return answer


def said_again(
    ctx: typer.Context, cert: Path | None, key: str | None, p12: Path | None, password_env: str | None
) -> tuple[str, ...]:
    """The options of this line that the next command needs too: what to sign in with, and where."""
    here: dict[str, object] = {"--cert": cert, "--key": key, "--p12": p12, "--key-password-env": password_env}
    root = ctx.find_root()
    for name, option in (("home", "--home"), ("env", "--env"), ("ksef_url", "--ksef-url")):
        source = root.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            here[option] = root.params[name]
    return tuple(word for option, value in here.items() if value is not None for word in (option, str(value)))
