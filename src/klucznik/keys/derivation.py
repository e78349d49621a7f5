"""What it would cost to derive a key from a password, read from a file before anything is derived.

Whoever makes a file says in it how often the derivation is repeated, and a number without a bound would hold this
process up for hours. Of what is itself encrypted nothing can be read beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator

from klucznik.keys import der

# Three times what careful programs write, and about a second of work.
MOST_ROUNDS = 2_000_000
# A PKCS#12 may have any number of parts, each with its own; an honest one has three.
MOST_ROUNDS_IN_ALL = 2 * MOST_ROUNDS
MOST_SCRYPT = 1 << 21  # N times r times p, in all
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_OF_PKCS12 = bytes.fromhex("2a864886f70d010c01")  # and a byte for the cipher
_BY_ROUNDS = (
    bytes.fromhex("2a864886f70d01050c"),  # PBKDF2
    _OF_PKCS12,
    *(bytes.fromhex(f"2a864886f70d0105{kind:02x}") for kind in (1, 3, 4, 6, 10, 11)),  # PBES1
)
_MOST_INTEGERS = 4


def is_too_costly(content: bytes, *, pkcs12: bool = False) -> bool:
    """Whether a DER or BER file asks for more than an honest program would.

    Args:
        pkcs12: then it may end with a MAC, which has its own number.
    """
    scrypt = [n * r * p for n, r, p, *_ in (one for one in _after(content, _SCRYPT) if len(one) >= 3)]
    if sum(scrypt) > MOST_SCRYPT:
        return True
    rounds = [numbers[0] for oid in _BY_ROUNDS for numbers in _after(content, oid) if numbers]
    if sum(rounds) > MOST_ROUNDS_IN_ALL:
        return True
    return any(one > MOST_ROUNDS for one in (*rounds, *(_of_mac(content) if pkcs12 else ())))


def _after(content: bytes, oid: bytes) -> Iterator[list[int]]:
    """The integers among the parameters of each place where an algorithm is named."""
    at = content.find(oid)
    while at >= 0:
        end = at + len(oid) + (oid == _OF_PKCS12)
        numbers = _numbers(content, end)
        if numbers is not None:
            yield numbers
        at = content.find(oid, at + 1)


def _numbers(content: bytes, at: int) -> list[int] | None:
    """Of a sequence that begins with a salt; None: there is none."""
    if content[at : at + 1] != bytes((der.SEQUENCE,)):
        return None
    inner = _header(content, at)
    if inner is None:
        return None
    at, _ = inner
    salt = _header(content, at)
    if salt is None:
        return None
    at = salt[0] + salt[1]
    found: list[int] = []
    while len(found) < _MOST_INTEGERS and content[at : at + 1] == bytes((der.INTEGER,)):
        header = _header(content, at)
        if header is None:
            break
        start, size = header
        found.append(int.from_bytes(content[start : start + size][:32], "big"))
        at = start + size
    return found


def _of_mac(content: bytes) -> Iterator[int]:
    """The rounds of a PKCS#12's MAC stand at its very end."""
    start, size = _header(content, 0) or (0, 0)
    # BER without lengths ends in zeros.
    content = content[: start + size] if size else content.rstrip(b"\0")
    for size in range(1, 9):
        if content[-size - 2 : -size] == bytes((der.INTEGER, size)):
            yield int.from_bytes(content[-size:], "big")


def _header(content: bytes, at: int) -> tuple[int, int] | None:
    """Where the content of an element begins, and its length (0: not said, or none)."""
    if at + 2 > len(content):
        return None
    size, start = content[at + 1], at + 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(content[at + 2 : start], "big")
    return start, min(size, len(content))
