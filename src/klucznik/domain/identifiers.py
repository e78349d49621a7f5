"""Who signs in and whom they act for: NIP, PESEL, fingerprint, subject and context.

KSeF checks shapes, not checksums (facts.md §1.2); a wrong checksum is therefore a warning here, never a block.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from klucznik.domain.values import InvalidValue

_NIP = re.compile(r"[1-9](?:\d[1-9]|[1-9]\d)\d{7}", re.ASCII)
_PESEL = re.compile(r"\d{2}(?:0[1-9]|1[0-2]|2[1-9]|3[0-2]|4[1-9]|5[0-2]|6[1-9]|7[0-2]|8[1-9]|9[0-2])\d{7}", re.ASCII)
_FINGERPRINT = re.compile(r"[0-9A-F]{64}")
_SEPARATORS = re.compile(r"[\s-]")
_NIP_WEIGHTS = (6, 5, 7, 2, 3, 4, 5, 6, 7)
_PESEL_WEIGHTS = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)


def parse_nip(text: str) -> str:
    """Ten digits from what people write: spaces, dashes and a leading ``PL`` are taken off.

    Raises:
        InvalidValue: KSeF would not accept it as a NIP.
    """
    digits = _SEPARATORS.sub("", text)
    if digits[:2].upper() == "PL":
        digits = digits[2:]
    if not _NIP.fullmatch(digits):
        raise InvalidValue("nip_malformed", value=text[:40])
    return digits


def parse_pesel(text: str) -> str:
    """Eleven digits from what people write.

    Raises:
        InvalidValue: KSeF would not accept it as a PESEL.
    """
    digits = _SEPARATORS.sub("", text)
    if not _PESEL.fullmatch(digits):
        raise InvalidValue("pesel_malformed", value=text[:40])
    return digits


def nip_checksum_ok(nip: str) -> bool:
    """Whether the tenth digit of a NIP follows from the others. A typing error seldom survives it."""
    return sum(int(digit) * weight for digit, weight in zip(nip, _NIP_WEIGHTS, strict=False)) % 11 == int(nip[9])


def pesel_checksum_ok(pesel: str) -> bool:
    """Whether the eleventh digit of a PESEL follows from the others."""
    total = sum(int(digit) * weight for digit, weight in zip(pesel, _PESEL_WEIGHTS, strict=False))
    return (10 - total % 10) % 10 == int(pesel[10])


class SubjectType(StrEnum):
    NIP = "Nip"
    PESEL = "Pesel"
    FINGERPRINT = "Fingerprint"


@dataclass(frozen=True)
class Subject:
    """Who signed in. Limits and certificates belong to the subject, in every context (facts.md §3.1).

    Attributes:
        value: 10 digits (NIP), 11 digits (PESEL) or 64 upper-case hexadecimal digits (SHA-256 of the certificate).
    """

    type: SubjectType
    value: str

    def __post_init__(self) -> None:
        shape = {SubjectType.NIP: _NIP, SubjectType.PESEL: _PESEL, SubjectType.FINGERPRINT: _FINGERPRINT}[self.type]
        if not shape.fullmatch(self.value):
            raise InvalidValue("subject_malformed", type=self.type.value)

    @property
    def is_person(self) -> bool:
        """A PESEL is a living person: the certificates are that person's own, in all their companies."""
        return self.type is SubjectType.PESEL

    def shown(self) -> str:
        """For people: a NIP is public and shown whole; a PESEL and a fingerprint are shortened."""
        if self.type is SubjectType.NIP:
            return self.value
        if self.type is SubjectType.PESEL:
            return f"{self.value[0]}•••••••{self.value[-3:]}"
        return f"{self.value[:8]}…{self.value[-8:]}"

    def __str__(self) -> str:
        return f"{self.type.value} {self.shown()}"


class ContextType(StrEnum):
    NIP = "Nip"
    INTERNAL_ID = "InternalId"
    NIP_VAT_UE = "NipVatUe"


@dataclass(frozen=True)
class Context:
    """Whom one acts for."""

    type: ContextType
    value: str

    @classmethod
    def of_nip(cls, text: str) -> Context:
        """The context of a company; ``text`` as for `parse_nip`."""
        return cls(ContextType.NIP, parse_nip(text))

    def __str__(self) -> str:
        return f"{self.type.value} {self.value}"
