"""Which passwords are good enough to sign in with here. Pure; hashing is `keys.passwords`.

Length is what counts, and that it is not what everybody tries first; no rules about kinds of characters, which make
people write ``Password123!`` (NIST SP 800-63B says the same).
"""

from __future__ import annotations

import re
import unicodedata

from klucznik.domain.values import InvalidValue

SHORTEST = 12
# Argon2 takes any length; a bound keeps a form from being a load.
LONGEST = 128
_FEWEST_DIFFERENT = 5
# What is left of a password besides one's own name has to be worth something by itself.
_BESIDES_NAME = 8

# What stands first in every list of stolen passwords, here and abroad; whatever is put around it is tried as well.
_COMMON = frozenset(
    """password passw0rd p4ssword haslo hasło mojehaslo tajnehaslo trudnehaslo nowehaslo welcome witaj witamy qwerty
    qwertyuiop qwertyuiopasdf qwertyasdf qwertz qwertyqwerty asdfghjkl asdfghjklzxc zxcvbnm zaqwsx zaqxsw zaqwsxcde
    qazwsx qazwsxedc qweasdzxc qwe qweasd asdasd iloveyou letmein administrator admin adminadmin administracja
    changeme default master monkey dragon sunshine princess football baseball superman batman trustno secret abc abcd
    abcdef abcdefgh abcdefghijkl polska polskapolska warszawa krakow kraków lublin gdansk gdańsk wroclaw wrocław
    poznan poznań legia lechpoznan wislakrakow widzew klucznik ksef faktura faktury ksiegowa księgowa ksiegowosc
    księgowość biuro biurorachunkowe firma kochanie kocham kochamcie misiaczek myszka matrix komputer samsung
    bartek mateusz agnieszka katarzyna karolina michal michał marcin monika natalia maslo wiosna lato
    jesien jesień zima styczen grudzien""".split()  # noqa: SIM905  a hundred words read best as words
)
_LEET = str.maketrans("0134578@$!", "oleastbasi")
# On a keyboard or in the alphabet one after the other.
_ROWS = ("1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz", "qwertzuiop")


def normalised(password: str) -> str:
    """The same password for the same keys, whichever keyboard wrote it."""
    return unicodedata.normalize("NFKC", password)


def check_new_password(password: str, *, email: str, name: str) -> None:
    """Raise what is wrong with a new password.

    Args:
        password: `normalised`.

    Raises:
        InvalidValue: ``password_too_short``, ``password_too_long`` (``limit``), ``password_common``,
            ``password_is_you``.
    """
    if len(password) < SHORTEST:
        raise InvalidValue("password_too_short", limit=SHORTEST)
    if len(password) > LONGEST:
        raise InvalidValue("password_too_long", limit=LONGEST)
    if _is_common(password.casefold()):
        raise InvalidValue("password_common")
    if _without(password.casefold(), email, name) < _BESIDES_NAME:
        raise InvalidValue("password_is_you")


def _is_common(password: str) -> bool:
    if len(set(password)) < _FEWEST_DIFFERENT or _repeats(password):
        return True
    bare = re.sub(r"^[\W\d_]+|[\W\d_]+$", "", password)
    words = {re.sub(r"[\W\d_]+", "", text) for text in (password, bare.translate(_LEET), password.translate(_LEET))}
    return any(word in _COMMON or _repeats(word, of=_COMMON) for word in words) or _runs(password)


def _repeats(text: str, *, of: frozenset[str] | None = None) -> bool:
    """Whether it is one short piece again and again."""
    for length in range(1, len(text) // 2 + 1):
        piece = text[:length]
        if text == (piece * (len(text) // length + 1))[: len(text)] and (length <= 6 if of is None else piece in of):
            return True
    return False


def _runs(password: str) -> bool:
    """Whether it is made of nothing but long runs of neighbouring keys or letters, either way."""
    rows = [way for row in _ROWS for way in (row + row, (row + row)[::-1])]
    at = 0
    while at < len(password):
        longest = next(
            (n for n in range(len(password) - at, 3, -1) if any(password[at : at + n] in row for row in rows)), 0
        )
        if not longest:
            return at >= len(password) - 2 and at > 0
        at += longest
    return True


def _without(password: str, email: str, name: str) -> int:
    """How much of a password is left without the words of its owner."""
    own = {word for word in re.split(r"[\W_]+", f"{email} {name}".casefold()) if len(word) >= 4}
    for word in sorted(own, key=len, reverse=True):
        password = password.replace(word, "")
    return len(password)
