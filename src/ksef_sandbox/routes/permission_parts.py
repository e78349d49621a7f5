"""Parts of permission requests: identifiers by their kinds, and who the subject is (specification 2.7.0).
The whole bodies are `routes/permission_bodies.py` and `routes/permission_query_bodies.py`.
"""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from ksef_sandbox.bodies import Body, any_case
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.permission_queries import System, Target
from ksef_sandbox.permission_records import EntityDetails, IdDocument, PersonDetails
from ksef_sandbox.xml.auth_request import CONTEXT_PATTERNS

_PATTERNS = {
    "Nip": CONTEXT_PATTERNS[ContextType.NIP],
    "InternalId": CONTEXT_PATTERNS[ContextType.INTERNAL_ID],
    "NipVatUe": CONTEXT_PATTERNS[ContextType.NIP_VAT_UE],
    "PeppolId": CONTEXT_PATTERNS[ContextType.PEPPOL_ID],
    "Pesel": re.compile(r"[0-9]{2}(?:0[1-9]|1[0-2]|2[1-9]|3[0-2]|4[1-9]|5[0-2]|6[1-9]|7[0-2]|8[1-9]|9[0-2])[0-9]{7}"),
    "Fingerprint": re.compile(r"[0-9A-F]{64}"),
}


def _unfit(kind: str) -> PydanticCustomError:
    return PydanticCustomError("unfit_value", "unfit value", {"kind": str(kind)})


class Choice(StrEnum):
    """Base of the enumerations in bodies."""


class PersonIdentifierType(Choice):
    NIP = "Nip"
    PESEL = "Pesel"
    FINGERPRINT = "Fingerprint"


class AuthorIdentifierType(Choice):
    NIP = "Nip"
    PESEL = "Pesel"
    FINGERPRINT = "Fingerprint"
    SYSTEM = "System"


class EntityIdentifierType(Choice):
    NIP = "Nip"


class AuthorizedEntityType(Choice):
    NIP = "Nip"
    PEPPOL_ID = "PeppolId"


class FingerprintType(Choice):
    FINGERPRINT = "Fingerprint"


class UnitIdentifierType(Choice):
    NIP = "Nip"
    INTERNAL_ID = "InternalId"


class EuContextType(Choice):
    NIP_VAT_UE = "NipVatUe"


class TargetType(Choice):
    NIP = "Nip"
    INTERNAL_ID = "InternalId"
    ALL_PARTNERS = "AllPartners"


class _Identifier(Body):
    """A type and a value that fits it; subclasses say which types there are."""

    type: Choice
    value: str

    @model_validator(mode="after")
    def _value_fits_type(self) -> Self:
        if not _PATTERNS[self.type].fullmatch(self.value):
            raise _unfit(self.type)
        return self

    def identity(self) -> Identity:
        return Identity(IdentityType(self.type.value), self.value)

    def context(self) -> ContextIdentifier:
        return ContextIdentifier(ContextType(self.type.value), self.value)


class PersonIdentifier(_Identifier):
    type: Annotated[PersonIdentifierType, any_case(PersonIdentifierType)]


class EntityIdentifier(_Identifier):
    type: Annotated[EntityIdentifierType, any_case(EntityIdentifierType)]


class AuthorizedEntity(_Identifier):
    type: Annotated[AuthorizedEntityType, any_case(AuthorizedEntityType)]


class FingerprintIdentifier(_Identifier):
    type: Annotated[FingerprintType, any_case(FingerprintType)]


class UnitIdentifier(_Identifier):
    type: Annotated[UnitIdentifierType, any_case(UnitIdentifierType)]


class EuContext(_Identifier):
    type: Annotated[EuContextType, any_case(EuContextType)]


class TargetIdentifier(Body):
    type: Annotated[TargetType, any_case(TargetType)]
    value: str | None = None

    @model_validator(mode="after")
    def _value_fits_type(self) -> Self:
        if self.type is not TargetType.ALL_PARTNERS and not _PATTERNS[self.type].fullmatch(self.value or ""):
            raise _unfit(self.type)
        return self

    def target(self) -> Target:
        if self.type is TargetType.ALL_PARTNERS:
            return Target(None)
        return Target(ContextIdentifier(ContextType(self.type.value), self.value or ""))


class AuthorIdentifier(Body):
    type: Annotated[AuthorIdentifierType, any_case(AuthorIdentifierType)]
    value: str | None = None

    @model_validator(mode="after")
    def _value_fits_type(self) -> Self:
        if self.type is not AuthorIdentifierType.SYSTEM and not _PATTERNS[self.type].fullmatch(self.value or ""):
            raise _unfit(self.type)
        return self

    def author(self) -> Identity | System:
        if self.type is AuthorIdentifierType.SYSTEM:
            return System()
        return Identity(IdentityType(self.type.value), self.value or "")


FirstName = Annotated[str, StringConstraints(min_length=2, max_length=30)]
LastName = Annotated[str, StringConstraints(min_length=2, max_length=81)]
LongName = Annotated[str, StringConstraints(min_length=5, max_length=256)]
FullName = Annotated[str, StringConstraints(max_length=100)]
Address = Annotated[str, StringConstraints(max_length=512)]


def _real_date(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError as error:
        raise ValueError("'birthDate' is not a date.") from error
    return text


class PersonById(Body):
    first_name: FirstName
    last_name: LastName


class PersonNumberType(Choice):
    PESEL = "Pesel"
    NIP = "Nip"


class PersonNumber(_Identifier):
    type: Annotated[PersonNumberType, any_case(PersonNumberType)]


class PersonByFingerprintWithIdentifier(PersonById):
    identifier: PersonNumber


class IdDocumentBody(Body):
    type: Annotated[str, StringConstraints(max_length=20)]
    number: Annotated[str, StringConstraints(max_length=20)]
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]


class PersonByFingerprintWithoutIdentifier(PersonById):
    birth_date: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_real_date)]
    id_document: IdDocumentBody


class EntityByFingerprint(Body):
    full_name: FullName
    address: Address


class DetailsType(Choice):
    PERSON_BY_IDENTIFIER = "PersonByIdentifier"
    PERSON_BY_FINGERPRINT_WITH_IDENTIFIER = "PersonByFingerprintWithIdentifier"
    PERSON_BY_FINGERPRINT_WITHOUT_IDENTIFIER = "PersonByFingerprintWithoutIdentifier"


class EuDetailsType(Choice):
    PERSON_BY_FINGERPRINT_WITH_IDENTIFIER = "PersonByFingerprintWithIdentifier"
    PERSON_BY_FINGERPRINT_WITHOUT_IDENTIFIER = "PersonByFingerprintWithoutIdentifier"
    ENTITY_BY_FINGERPRINT = "EntityByFingerprint"


class _Details(Body):
    """Who the subject is: the member that belongs to the type must be there, others are not looked at."""

    subject_details_type: Choice
    person_by_id: PersonById | None = None
    person_by_fp_with_id: PersonByFingerprintWithIdentifier | None = None
    person_by_fp_no_id: PersonByFingerprintWithoutIdentifier | None = None
    entity_by_fp: EntityByFingerprint | None = None

    @model_validator(mode="after")
    def _member_is_there(self) -> Self:
        member, value = {
            "PersonByIdentifier": ("personById", self.person_by_id),
            "PersonByFingerprintWithIdentifier": ("personByFpWithId", self.person_by_fp_with_id),
            "PersonByFingerprintWithoutIdentifier": ("personByFpNoId", self.person_by_fp_no_id),
            "EntityByFingerprint": ("entityByFp", self.entity_by_fp),
        }[self.subject_details_type.value]
        if value is None:
            raise ValueError(f"'subjectDetails.{member}' must not be empty.")
        return self

    def person(self) -> PersonDetails | None:
        kind = self.subject_details_type.value
        if kind == "PersonByIdentifier" and self.person_by_id:
            return PersonDetails(kind, self.person_by_id.first_name, self.person_by_id.last_name)
        if kind == "PersonByFingerprintWithIdentifier" and self.person_by_fp_with_id:
            named = self.person_by_fp_with_id
            return PersonDetails(kind, named.first_name, named.last_name, named.identifier.identity())
        if kind == "PersonByFingerprintWithoutIdentifier" and self.person_by_fp_no_id:
            born = self.person_by_fp_no_id
            paper = IdDocument(born.id_document.type, born.id_document.number, born.id_document.country)
            return PersonDetails(kind, born.first_name, born.last_name, None, born.birth_date, paper)
        return None

    def entity(self) -> EntityDetails | None:
        if self.subject_details_type.value != "EntityByFingerprint" or self.entity_by_fp is None:
            return None
        return EntityDetails("EntityByFingerprint", self.entity_by_fp.full_name, self.entity_by_fp.address)


class PersonDetailsBody(_Details):
    subject_details_type: Annotated[DetailsType, any_case(DetailsType)]


class EuSubjectDetailsBody(_Details):
    subject_details_type: Annotated[EuDetailsType, any_case(EuDetailsType)]


class EntityDetailsBody(Body):
    full_name: Annotated[str, StringConstraints(min_length=5, max_length=90)]

    def entity(self) -> EntityDetails:
        return EntityDetails("EntityByIdentifier", self.full_name)


class EuEntityDetailsBody(Body):
    full_name: FullName
    address: Address
