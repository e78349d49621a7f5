"""Requests to grant, list and revoke permissions, in a few readable calls.
What follows from them is asserted in the tests.
"""

from typing import Any

import httpx
from tests.sandbox.driver import Session

PERSON = {
    "subjectDetailsType": "PersonByIdentifier",
    "personById": {"firstName": "Anna", "lastName": "Nowak-Żółć"},
}
BY_FINGERPRINT = {
    "subjectDetailsType": "PersonByFingerprintWithIdentifier",
    "personByFpWithId": {
        "firstName": "Anna",
        "lastName": "Nowak",
        "identifier": {"type": "Pesel", "value": "80010112345"},
    },
}
ENTITY = {"fullName": "Biuro Rachunkowe sp. z o.o."}
EU_ENTITY = {"fullName": "Muster GmbH", "address": "Hauptstraße 1, Berlin"}


def identifier(kind: str, value: str) -> dict[str, str]:
    return {"type": kind, "value": value}


def person_grant(subject: dict[str, str], *permissions: str, **more: Any) -> dict[str, Any]:
    return {
        "subjectIdentifier": subject,
        "permissions": list(permissions),
        "description": "Uprawnienie testowe",
        "subjectDetails": BY_FINGERPRINT if subject["type"] == "Fingerprint" else PERSON,
        **more,
    }


def entity_grant(nip: str, *permissions: str, delegate: bool = False) -> dict[str, Any]:
    return {
        "subjectIdentifier": identifier("Nip", nip),
        "permissions": [{"type": name, "canDelegate": delegate} for name in permissions],
        "description": "Obsługa faktur",
        "subjectDetails": ENTITY,
    }


def subunit_grant(subject: dict[str, str], unit: dict[str, str], *, name: str | None) -> dict[str, Any]:
    body = person_grant(subject) | {"contextIdentifier": unit} | ({"subunitName": name} if name else {})
    del body["permissions"]
    return body


def authorization_grant(subject: dict[str, str], permission: str) -> dict[str, Any]:
    return {
        "subjectIdentifier": subject,
        "permission": permission,
        "description": "Uprawnienie podmiotowe",
        "subjectDetails": ENTITY,
    }


def eu_administrator_grant(fingerprint: str, context: str) -> dict[str, Any]:
    return {
        "subjectIdentifier": identifier("Fingerprint", fingerprint),
        "contextIdentifier": identifier("NipVatUe", context),
        "description": "Administrator podmiotu",
        "euEntityName": "Muster GmbH",
        "subjectDetails": BY_FINGERPRINT,
        "euEntityDetails": EU_ENTITY,
    }


def outcome(session: Session, response: httpx.Response) -> int:
    """The code with which a permission operation ends; needs `perm_delay_ms=0`."""
    assert response.status_code == 202, response.text
    reference = response.json()["referenceNumber"]
    return int(session.get(f"/permissions/operations/{reference}").json()["status"]["code"])


def grant_person(session: Session, subject: dict[str, str], *permissions: str, **more: Any) -> int:
    return outcome(session, session.post("/permissions/persons/grants", person_grant(subject, *permissions, **more)))


def grant_entity(session: Session, nip: str, *permissions: str, delegate: bool = False) -> int:
    body = entity_grant(nip, *permissions, delegate=delegate)
    return outcome(session, session.post("/permissions/entities/grants", body))


def grant_indirectly(
    session: Session, subject: dict[str, str], *permissions: str, target: dict[str, str] | None = None
) -> int:
    body = person_grant(subject, *permissions) | ({"targetIdentifier": target} if target else {})
    return outcome(session, session.post("/permissions/indirect/grants", body))


def appoint_subunit_administrator(
    session: Session, subject: dict[str, str], unit: dict[str, str], *, name: str | None = "Oddział Testowy"
) -> int:
    return outcome(session, session.post("/permissions/subunits/grants", subunit_grant(subject, unit, name=name)))


def authorize(session: Session, subject: dict[str, str], permission: str) -> int:
    return outcome(
        session, session.post("/permissions/authorizations/grants", authorization_grant(subject, permission))
    )


def appoint_eu_administrator(session: Session, fingerprint: str, context: str) -> int:
    body = eu_administrator_grant(fingerprint, context)
    return outcome(session, session.post("/permissions/eu-entities/administration/grants", body))


def appoint_eu_representative(session: Session, fingerprint: str, *permissions: str) -> int:
    body = person_grant(identifier("Fingerprint", fingerprint), *permissions)
    return outcome(session, session.post("/permissions/eu-entities/grants", body))


def listed(session: Session, path: str, *, query: str = "", **filters: Any) -> list[dict[str, Any]]:
    """Items of POST /permissions/query/{path}."""
    response = session.post(f"/permissions/query/{path}{query}", filters)
    assert response.status_code == 200, response.text
    items = [value for value in response.json().values() if isinstance(value, list)]
    found: list[dict[str, Any]] = items[0]
    return found


def persons(session: Session, **filters: Any) -> list[dict[str, Any]]:
    """All who may work in this context."""
    return listed(session, "persons/grants", **{"queryType": "PermissionsInCurrentContext"} | filters)


def revoke(session: Session, grant_id: str) -> int:
    return outcome(session, session.delete(f"/permissions/common/grants/{grant_id}"))


def revoke_all(session: Session, found: list[dict[str, Any]]) -> None:
    for item in found:
        assert revoke(session, item["id"]) == 200


def scopes(found: list[dict[str, Any]]) -> set[str]:
    return {str(item["permissionScope"]) for item in found}
