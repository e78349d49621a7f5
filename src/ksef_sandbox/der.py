"""Just enough DER to see what parsing libraries forgive: tags, lengths, raw contents.
Meaning is given by the caller; only definite lengths are read, as DER has no others.
"""

from dataclasses import dataclass

SEQUENCE, SET, NULL, OID = 0x30, 0x31, 0x05, 0x06
BIT_STRING, UTF8_STRING, PRINTABLE_STRING = 0x03, 0x0C, 0x13


class DerError(ValueError):
    """The bytes are not DER."""


@dataclass(frozen=True, slots=True)
class Element:
    """One value: its tag octet and its content octets."""

    tag: int
    content: bytes

    def children(self) -> list["Element"]:
        """The values inside a constructed one; raises DerError when they do not fill it exactly."""
        found: list[Element] = []
        rest = self.content
        while rest:
            element, rest = read(rest)
            found.append(element)
        return found


def read(data: bytes) -> tuple[Element, bytes]:
    """Read one value; returns it and what follows it. Raises DerError."""
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise DerError("no value with a short tag")
    length, start = data[1], 2
    if length & 0x80:
        octets = length & 0x7F
        start += octets
        length = int.from_bytes(data[2:start], "big")
        if not 1 <= octets <= 4 or len(data) < start or length < 0x80:
            raise DerError("bad length")
    if len(data) < start + length:
        raise DerError("truncated")
    return Element(data[0], data[start : start + length]), data[start + length :]


def read_whole(data: bytes) -> Element:
    """Read one value that fills `data`; raises DerError."""
    element, rest = read(data)
    if rest:
        raise DerError("trailing bytes")
    return element


def oid_text(content: bytes) -> str:
    """Dotted form of an object identifier's content octets."""
    numbers: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(value)
            value = 0
    if not numbers or content[-1] & 0x80:
        raise DerError("bad object identifier")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:]]))
