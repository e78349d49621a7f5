"""Pictures of cards and HSMs for a terminal. No decisions."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from cryptography import x509
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from klucznik.domain.key_uri import KeyUri
from klucznik.keys.holder import read_holder
from klucznik.keys.pkcs11_objects import FoundObject, FoundToken
from klucznik.messages import Words
from klucznik.messages.refusal import subject_text


def tokens(found: list[FoundToken], unknown: frozenset[str], words: Words) -> RenderableType:
    if not found:
        return Text(words.say("key_token.none"))
    labels = Counter(token.uri.token for token in found)
    parts: list[RenderableType] = []
    for token in found:
        parts += [*([Text()] if parts else []), *_token(token, unknown, words, alone=labels[token.uri.token] == 1)]
    return Group(*parts)


def _token(token: FoundToken, unknown: frozenset[str], words: Words, *, alone: bool) -> list[RenderableType]:
    about = [text for text in (token.uri.model, token.uri.manufacturer) if text]
    about.append(words.say("key_token.serial", serial=token.uri.serial or "–"))
    lines: list[RenderableType] = [
        Text.assemble((token.uri.token or "–", "bold"), (f"  {' · '.join(about)}", "dim")),
        Text(str(_short(token.uri, alone=alone)), style="cyan", no_wrap=True, overflow="fold"),
    ]
    if token.low is not None:
        lines.append(Text.assemble(("! ", "yellow"), words.say(f"key_token.pin.{token.low}")))
    if not token.objects:
        lines.append(Text(words.say("key_token.empty_with_pin" if token.logged_in else "key_token.empty"), style="dim"))
    for one in token.objects:
        lines += [Text(), Padding(_object(one, unknown, words, alone=alone), (0, 0, 0, 2))]
    return lines


def _object(one: FoundObject, unknown: frozenset[str], words: Words, *, alone: bool) -> RenderableType:
    if one.private_key:
        what = "key" if one.certificate is None else "key_and_certificate"
    else:
        what = "public" if one.certificate is None else "certificate"
    said = words.say(f"key_token.object.{what}")
    lines = [Text.assemble((one.uri.object or "–", "bold"), f"  {one.kind or '?'}  {said}")]
    if one.certificate is not None:
        end = words.date(one.certificate.not_valid_after_utc)
        lines.append(Text(words.say("key_token.of", name=_holder(one.certificate, words), end=end)))
    if one.made_by_klucznik in unknown:
        lines.append(Text(words.say("key_token.unknown_here"), style="yellow"))
    lines.append(Text(str(_short(one.uri, alone=alone)), style="cyan", overflow="fold"))
    return Group(*lines)


def _holder(certificate: x509.Certificate, words: Words) -> str:
    """Whose it is; the certificates of strangers on a token need not be well made."""
    try:
        holder = read_holder(certificate)
    except ValueError:
        return "–"
    return f"{holder.common_name or '–'} ({subject_text(holder.signs_in_as, words)})"


def _short(uri: KeyUri, *, alone: bool) -> KeyUri:
    """As much of the name as is needed to be the only one; what may be pasted after ``--key``."""
    short = replace(uri, manufacturer=None, model=None, serial=None if alone and uri.token else uri.serial)
    return replace(short, object=None) if uri.id is not None else short
