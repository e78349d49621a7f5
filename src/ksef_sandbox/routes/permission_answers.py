"""How grants and roles look in answers of /permissions/query/* (specification 2.7.0).
Which of them are found is `permission_queries.py`; nullable properties without a value are left out.
"""

from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity
from ksef_sandbox.permission_queries import vat_ue_of
from ksef_sandbox.permission_records import EntityDetails, EuEntity, Grant, GrantKind, PersonDetails
from ksef_sandbox.rights import Role
from ksef_sandbox.wire import JsonValue, timestamp

Item = dict[str, JsonValue]
_LISTED_CONTEXTS = (ContextType.NIP, ContextType.INTERNAL_ID)


def personal_item(grant: Grant, caller: Identity) -> JsonValue:
    """PersonalPermission; the subject is named only where it is not the caller."""
    context = grant.granted_in if grant.granted_in.type in _LISTED_CONTEXTS else None
    return {
        "id": grant.id,
        **_if("contextIdentifier", _pair(context) if context else None),
        **_if("authorizedIdentifier", _pair(grant.subject) if grant.subject != caller else None),
        **_if("targetIdentifier", _target(grant)),
        **_scope_and_state(grant),
        **_subject(grant),
    }


def person_item(grant: Grant) -> JsonValue:
    """PersonPermission; a context is named for administrators of subunits, a target for indirect grants."""
    context = grant.context if grant.kind is GrantKind.SUBUNIT else None
    return {
        "id": grant.id,
        "authorizedIdentifier": _pair(grant.subject),
        **_if("contextIdentifier", _pair(context) if context else None),
        **_if("targetIdentifier", _target(grant)),
        "authorIdentifier": _pair(grant.author) if grant.author else {"type": "System"},
        **_scope_and_state(grant),
        **_subject(grant),
    }


def subunit_item(grant: Grant) -> JsonValue:
    """SubunitPermission."""
    return {
        "id": grant.id,
        "authorizedIdentifier": _pair(grant.subject),
        "subunitIdentifier": _pair(grant.context or grant.granted_in),
        **_author(grant),
        "permissionScope": grant.permission,
        "description": grant.description,
        **_if("subjectPersonDetails", _person(grant.person)),
        **_if("subunitName", grant.subunit_name),
        "startDate": timestamp(grant.started_at),
    }


def entity_item(grant: Grant) -> JsonValue:
    """EntityPermissionItem."""
    return {
        "id": grant.id,
        "contextIdentifier": _pair(grant.granted_in),
        "permissionScope": grant.permission,
        "description": grant.description,
        "startDate": timestamp(grant.started_at),
        "canDelegate": grant.can_delegate,
    }


def authorization_item(grant: Grant) -> JsonValue:
    """EntityAuthorizationGrant."""
    return {
        "id": grant.id,
        **_author(grant),
        "authorizedEntityIdentifier": _pair(grant.subject),
        "authorizingEntityIdentifier": _pair(grant.granted_in),
        "authorizationScope": grant.permission,
        "description": grant.description,
        **_if("subjectEntityDetails", _entity(grant.entity)),
        "startDate": timestamp(grant.started_at),
    }


def eu_item(grant: Grant) -> JsonValue:
    """EuEntityPermission."""
    return {
        "id": grant.id,
        **_author(grant),
        "vatUeIdentifier": vat_ue_of(grant),
        "euEntityName": grant.eu_entity.name if grant.eu_entity else vat_ue_of(grant),
        "authorizedFingerprintIdentifier": grant.subject.value,
        "permissionScope": grant.permission,
        "description": grant.description,
        **_subject(grant),
        **_if("euEntityDetails", _eu_entity(grant.eu_entity)),
        "startDate": timestamp(grant.started_at),
    }


def role_item(role: Role) -> JsonValue:
    """EntityRole."""
    parent: JsonValue = {"type": "Nip", "value": role.parent}
    return {
        **_if("parentEntityIdentifier", parent if role.parent else None),
        "role": role.name,
        "description": role.description,
        "startDate": timestamp(role.started_at),
    }


def subordinate_item(role: Role) -> JsonValue:
    """SubordinateEntityRole."""
    return {
        "subordinateEntityIdentifier": {"type": "Nip", "value": role.nip},
        "role": role.name,
        "description": role.description,
        "startDate": timestamp(role.started_at),
    }


def _scope_and_state(grant: Grant) -> Item:
    return {
        "permissionScope": grant.permission,
        "description": grant.description,
        "permissionState": "Active",
        "startDate": timestamp(grant.started_at),
        "canDelegate": grant.can_delegate,
    }


def _pair(identifier: Identity | ContextIdentifier) -> JsonValue:
    return {"type": identifier.type.value, "value": identifier.value}


def _target(grant: Grant) -> JsonValue:
    if grant.kind is not GrantKind.INDIRECT:
        return None
    return _pair(grant.context) if grant.context else {"type": "AllPartners"}


def _author(grant: Grant) -> Item:
    return _if("authorIdentifier", _pair(grant.author) if grant.author else None)


def _subject(grant: Grant) -> Item:
    return _if("subjectPersonDetails", _person(grant.person)) | _if("subjectEntityDetails", _entity(grant.entity))


def _person(person: PersonDetails | None) -> JsonValue:
    if person is None:
        return None
    paper = person.id_document
    document: JsonValue = {"type": paper.type, "number": paper.number, "country": paper.country} if paper else None
    return {
        "subjectDetailsType": person.type,
        "firstName": person.first_name,
        "lastName": person.last_name,
        **_if("personIdentifier", _pair(person.identifier) if person.identifier else None),
        **_if("birthDate", person.birth_date),
        **_if("idDocument", document),
    }


def _entity(entity: EntityDetails | None) -> JsonValue:
    if entity is None:
        return None
    return {"subjectDetailsType": entity.type, "fullName": entity.full_name, **_if("address", entity.address)}


def _eu_entity(entity: EuEntity | None) -> JsonValue:
    return {"fullName": entity.full_name, "address": entity.address} if entity else None


def _if(name: str, value: JsonValue) -> Item:
    return {} if value is None else {name: value}
