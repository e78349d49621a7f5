"""Lists of permissions, operations and refusals: what /permissions/* answers (facts.md §5.3, §5.4)."""

from typing import Any

import pytest
from tests.sandbox.driver import Driver, Session, code_of, details_of
from tests.sandbox.granting import (
    BY_FINGERPRINT,
    ENTITY,
    EU_ENTITY,
    PERSON,
    appoint_eu_administrator,
    appoint_eu_representative,
    appoint_subunit_administrator,
    authorize,
    entity_grant,
    grant_entity,
    grant_indirectly,
    grant_person,
    identifier,
    listed,
    person_grant,
    persons,
    revoke,
    scopes,
)
from tests.sandbox.signing import make_anonymous, make_peppol, make_person, make_seal

from ksef_sandbox import Sandbox

CLIENT, OFFICE = "5265877635", "7762811692"
PESEL = "80010112345"
CLERK = make_person(pesel=PESEL)
CLERK_ID = identifier("Pesel", PESEL)
FINGERPRINT = "A" * 64
UNIT = identifier("InternalId", f"{CLIENT}-12346")


@pytest.fixture
def client(driver: Driver) -> Session:
    return driver.sign_in(make_seal(nip=CLIENT), nip=CLIENT)


@pytest.fixture
def office(driver: Driver) -> Session:
    return driver.sign_in(make_seal(nip=OFFICE), nip=OFFICE)


def without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}


def test_a_person_grant_is_listed_one_row_for_each_permission(client: Session) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead", "CredentialsManage") == 200
    rows = persons(client)
    assert scopes(rows) == {"InvoiceRead", "CredentialsManage"}
    (row,) = persons(client, permissionTypes=["InvoiceRead"])
    assert without(row, "id", "startDate") == {
        "authorizedIdentifier": CLERK_ID,
        "authorIdentifier": identifier("Nip", CLIENT),
        "permissionScope": "InvoiceRead",
        "description": "Uprawnienie testowe",
        "subjectPersonDetails": {
            "subjectDetailsType": "PersonByIdentifier",
            "firstName": "Anna",
            "lastName": "Nowak-Żółć",
        },
        "permissionState": "Active",
        "canDelegate": False,
    }
    assert len(row["id"]) == 36


def test_an_entity_grant_is_listed_by_both_sides(client: Session, office: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=True) == 200
    (given,) = persons(client)
    assert given["authorizedIdentifier"] == identifier("Nip", OFFICE)
    assert given["canDelegate"] is True
    assert given["subjectEntityDetails"] == {"subjectDetailsType": "EntityByIdentifier", **ENTITY}
    (received,) = listed(office, "entities/grants")
    assert without(received, "startDate") == {
        "id": given["id"],
        "contextIdentifier": identifier("Nip", CLIENT),
        "permissionScope": "InvoiceRead",
        "description": "Obsługa faktur",
        "canDelegate": True,
    }
    assert listed(office, "entities/grants", contextIdentifier=identifier("Nip", CLIENT)) == [received]
    assert listed(office, "entities/grants", contextIdentifier=identifier("Nip", "1111111111")) == []


def test_the_owner_right_is_never_listed(client: Session) -> None:
    assert persons(client) == []
    assert listed(client, "personal/grants") == []


def test_everyone_sees_his_own_permissions(driver: Driver, client: Session, office: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=True) == 200
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", target=identifier("Nip", CLIENT)) == 200
    (guest,) = listed(driver.sign_in(make_seal(nip=OFFICE), nip=CLIENT), "personal/grants")
    assert guest["contextIdentifier"] == identifier("Nip", CLIENT)
    assert "authorizedIdentifier" not in guest
    (at_home,) = listed(office, "personal/grants")  # the owner of the office sees what the client has granted
    assert at_home["id"] == guest["id"]
    (clerk,) = listed(driver.sign_in(CLERK, nip=CLIENT), "personal/grants")
    assert clerk["targetIdentifier"] == identifier("Nip", CLIENT)
    assert clerk["contextIdentifier"] == identifier("Nip", OFFICE)


def test_personal_permissions_are_filtered(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead", "InvoiceWrite") == 200
    clerk = driver.sign_in(CLERK, nip=CLIENT)
    here, elsewhere = identifier("Nip", CLIENT), identifier("Nip", OFFICE)
    assert scopes(listed(clerk, "personal/grants", permissionTypes=["InvoiceWrite"])) == {"InvoiceWrite"}
    assert len(listed(clerk, "personal/grants", contextIdentifier=here, targetIdentifier=here)) == 2
    assert listed(clerk, "personal/grants", contextIdentifier=elsewhere) == []
    assert listed(clerk, "personal/grants", targetIdentifier={"type": "AllPartners"}) == []
    assert len(listed(clerk, "personal/grants", permissionState="Active")) == 2
    assert listed(clerk, "personal/grants", permissionState="Inactive") == []


def test_a_general_grant_is_personal_in_both_contexts(driver: Driver, client: Session, office: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=True) == 200
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead") == 200
    (row,) = listed(driver.sign_in(CLERK, nip=CLIENT), "personal/grants")
    assert row["targetIdentifier"] == {"type": "AllPartners"}
    assert persons(client, authorizedIdentifier=CLERK_ID) == []  # whom the office sends is not the client's to see
    assert len(persons(office, targetIdentifier={"type": "AllPartners"})) == 1
    assert persons(office, targetIdentifier=identifier("Nip", CLIENT)) == []


def test_persons_are_filtered_by_who_granted_and_to_whom(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "CredentialsManage") == 200
    administrator = driver.sign_in(CLERK, nip=CLIENT)
    assert grant_person(administrator, identifier("Nip", OFFICE), "InvoiceRead") == 200
    assert len(persons(client)) == 2
    assert scopes(persons(client, authorIdentifier=CLERK_ID)) == {"InvoiceRead"}
    assert scopes(persons(client, authorizedIdentifier=CLERK_ID)) == {"CredentialsManage"}
    mine = persons(administrator, queryType="PermissionsGrantedInCurrentContext")
    assert scopes(mine) == {"InvoiceRead"}


def test_administrators_of_units_are_listed_by_the_parent(driver: Driver, client: Session) -> None:
    assert appoint_subunit_administrator(client, CLERK_ID, UNIT, name="Oddział Łódź") == 200
    (row,) = listed(client, "subunits/grants")
    assert without(row, "id", "startDate") == {
        "authorizedIdentifier": CLERK_ID,
        "subunitIdentifier": UNIT,
        "authorIdentifier": identifier("Nip", CLIENT),
        "permissionScope": "CredentialsManage",
        "description": "Uprawnienie testowe",
        "subjectPersonDetails": {
            "subjectDetailsType": "PersonByIdentifier",
            "firstName": "Anna",
            "lastName": "Nowak-Żółć",
        },
        "subunitName": "Oddział Łódź",
    }
    assert listed(client, "subunits/grants", subunitIdentifier=UNIT) == [row]
    assert listed(client, "subunits/grants", subunitIdentifier=identifier("InternalId", f"{CLIENT}-00003")) == []
    administrator = driver.sign_in(CLERK, context=("InternalId", UNIT["value"]))
    (inside,) = persons(administrator)
    assert inside["contextIdentifier"] == UNIT
    (granted,) = persons(client, queryType="PermissionsGrantedInCurrentContext")
    assert granted["contextIdentifier"] == UNIT
    assert revoke(client, row["id"]) == 200
    assert driver.status_code(CLERK, context=("InternalId", UNIT["value"])) == 415


def test_roles_and_subordinates_come_from_test_data(driver: Driver, client: Session, office: Session) -> None:
    units = [{"subjectNip": OFFICE, "description": "Jednostka podrzędna"}]
    subject = {"subjectNip": CLIENT, "subjectType": "JST", "description": "Gmina testowa", "subunits": units}
    driver.http.post("/testdata/subject", json=subject)
    roles = client.get("/permissions/query/entities/roles").json()["roles"]
    assert [(role["role"], role["description"]) for role in roles] == [("LocalGovernmentUnit", "Gmina testowa")]
    (child,) = office.get("/permissions/query/entities/roles").json()["roles"]
    assert child["role"] == "LocalGovernmentSubUnit"
    assert child["parentEntityIdentifier"] == identifier("Nip", CLIENT)
    (unit,) = listed(client, "subordinate-entities/roles")
    assert without(unit, "startDate") == {
        "subordinateEntityIdentifier": identifier("Nip", OFFICE),
        "role": "LocalGovernmentSubUnit",
        "description": "Jednostka podrzędna",
    }
    nobody = identifier("Nip", "1111111111")
    assert listed(client, "subordinate-entities/roles", subordinateEntityIdentifier=nobody) == []
    driver.http.post("/testdata/subject/remove", json={"subjectNip": CLIENT})
    assert client.get("/permissions/query/entities/roles").json() == {"roles": [], "hasMore": False}


def test_authorizations_are_listed_by_both_sides_and_revoked_by_their_own_endpoint(
    client: Session, office: Session
) -> None:
    assert authorize(client, identifier("Nip", OFFICE), "TaxRepresentative") == 200
    (given,) = listed(client, "authorizations/grants", queryType="Granted")
    assert listed(office, "authorizations/grants", queryType="Received") == [given]
    assert listed(office, "authorizations/grants", queryType="Granted") == []
    assert listed(client, "authorizations/grants", queryType="Granted", permissionTypes=["SelfInvoicing"]) == []
    by = identifier("Nip", CLIENT)
    assert listed(office, "authorizations/grants", queryType="Received", authorizingIdentifier=by) == [given]
    assert without(given, "id", "startDate") == {
        "authorIdentifier": by,
        "authorizedEntityIdentifier": identifier("Nip", OFFICE),
        "authorizingEntityIdentifier": by,
        "authorizationScope": "TaxRepresentative",
        "description": "Uprawnienie podmiotowe",
        "subjectEntityDetails": {"subjectDetailsType": "EntityByIdentifier", **ENTITY},
    }
    assert revoke(client, given["id"]) == 410  # not by the common endpoint
    operation = client.delete(f"/permissions/authorizations/grants/{given['id']}").json()["referenceNumber"]
    assert client.get(f"/permissions/operations/{operation}").json()["status"]["code"] == 200
    assert listed(client, "authorizations/grants", queryType="Granted") == []


def test_eu_permissions_are_listed_by_the_company_and_in_the_joint_context(driver: Driver, client: Session) -> None:
    administrator = make_anonymous()
    context = ("NipVatUe", f"{CLIENT}-DE123456789")
    assert appoint_eu_administrator(client, administrator.fingerprint, context[1]) == 200
    four = {"VatUeManage", "InvoiceWrite", "InvoiceRead", "Introspection"}
    assert scopes(listed(client, "eu-entities/grants")) == four
    inside = driver.sign_in(administrator, context=context, subject="certificateFingerprint")
    assert appoint_eu_representative(inside, FINGERPRINT, "InvoiceRead") == 200
    (row,) = listed(inside, "eu-entities/grants", authorizedFingerprintIdentifier=FINGERPRINT)
    assert row["vatUeIdentifier"] == "DE123456789"
    assert row["euEntityName"] == "Muster GmbH"
    assert row["euEntityDetails"] == EU_ENTITY
    assert row["authorIdentifier"] == identifier("Fingerprint", administrator.fingerprint)
    assert len(listed(inside, "eu-entities/grants")) == 5
    assert len(listed(client, "eu-entities/grants")) == 4  # administrators only
    assert (
        len(listed(client, "eu-entities/grants", vatUeIdentifier="DE123456789", permissionTypes=["VatUeManage"])) == 1
    )
    assert listed(client, "eu-entities/grants", vatUeIdentifier="DE999999999") == []
    assert revoke(inside, row["id"]) == 200
    assert len(listed(inside, "eu-entities/grants")) == 4


def test_rows_are_sorted_by_start_and_paged(client: Session, ksef: Sandbox) -> None:
    for number in range(12):
        ksef.advance(seconds=1)
        assert grant_entity(client, f"77628116{number:02}", "InvoiceRead") == 200
    pages = [
        client.post(f"/permissions/query/persons/grants?pageSize=10&pageOffset={page}", BY_CONTEXT).json()
        for page in (0, 1, 2)
    ]
    assert [(len(page["permissions"]), page["hasMore"]) for page in pages] == [(10, True), (2, False), (0, False)]
    starts = [row["startDate"] for page in pages for row in page["permissions"]]
    assert starts == sorted(starts, reverse=True)


BY_CONTEXT = {"queryType": "PermissionsInCurrentContext"}


def test_granting_twice_is_silently_nothing(client: Session) -> None:
    for _ in range(2):
        assert grant_person(client, CLERK_ID, "InvoiceRead") == 200
    assert len(persons(client)) == 1


def test_a_permission_can_be_granted_again_after_its_revocation(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead") == 200
    (first,) = persons(client)
    assert revoke(client, first["id"]) == 200
    assert revoke(client, first["id"]) == 410
    assert grant_person(client, CLERK_ID, "InvoiceRead") == 200
    (second,) = persons(client)
    assert second["id"] != first["id"]


def test_nobody_revokes_the_grants_of_another_context(client: Session, office: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead") == 200
    (row,) = persons(client)
    assert revoke(office, row["id"]) == 410
    assert revoke(office, "00000000-0000-4000-8000-000000000000") == 410
    assert len(persons(client)) == 1


def test_a_manager_of_subunits_revokes_their_administrators_only(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "SubunitManage", "InvoiceRead") == 200
    manager = driver.sign_in(CLERK, nip=CLIENT)
    assert appoint_subunit_administrator(manager, identifier("Nip", OFFICE), UNIT) == 200
    (unit,) = listed(manager, "subunits/grants")
    (invoices,) = persons(client, permissionTypes=["InvoiceRead"])
    assert revoke(manager, invoices["id"]) == 420
    assert revoke(manager, unit["id"]) == 200


def test_an_operation_is_seen_by_its_context_for_thirty_days(client: Session, office: Session, ksef: Sandbox) -> None:
    reference = client.post("/permissions/entities/grants", entity_grant(OFFICE, "InvoiceRead")).json()[
        "referenceNumber"
    ]
    path = f"/permissions/operations/{reference}"
    assert client.get(path).json() == {"status": {"code": 200, "description": "Operacja zakończona sukcesem"}}
    assert code_of(office.get(path)) == 21405
    assert code_of(client.get(f"/permissions/operations/{reference[:-1]}X")) == 21405
    assert code_of(client.get("/permissions/operations/short")) == 21405
    ksef.set(token_ttl_access_s=90 * 86400)
    fresh = client.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {client.refresh}"}).json()
    bearer = {"Authorization": f"Bearer {fresh['accessToken']['token']}"}
    ksef.advance(days=30)
    assert client.http.get(path, headers=bearer).status_code == 410


def test_consent_to_attachments_follows_test_data(driver: Driver, client: Session, ksef: Sandbox) -> None:
    path = "/permissions/attachments/status"
    assert client.get(path).json() == {"isAttachmentAllowed": False}
    driver.http.post("/testdata/attachment", json={"nip": CLIENT})
    assert client.get(path).json() == {"isAttachmentAllowed": True}
    ends = f"{ksef.now():%Y-%m-%d}"
    driver.http.post("/testdata/attachment/revoke", json={"nip": CLIENT, "expectedEndDate": ends})
    assert client.get(path).json() == {"isAttachmentAllowed": True, "revokedDate": f"{ends}T00:00:00+00:00"}


FORBIDDEN = [
    ("POST", "/permissions/persons/grants", ["CredentialsManage"]),
    ("POST", "/permissions/entities/grants", ["CredentialsManage"]),
    ("POST", "/permissions/authorizations/grants", ["CredentialsManage"]),
    ("POST", "/permissions/indirect/grants", ["CredentialsManage"]),
    ("POST", "/permissions/subunits/grants", ["SubunitManage"]),
    ("POST", "/permissions/eu-entities/administration/grants", ["CredentialsManage"]),
    ("POST", "/permissions/eu-entities/grants", ["VatUeManage"]),
    ("DELETE", f"/permissions/common/grants/{'0' * 36}", ["CredentialsManage", "VatUeManage", "SubunitManage"]),
    ("DELETE", f"/permissions/authorizations/grants/{'0' * 36}", ["CredentialsManage"]),
    ("GET", "/permissions/attachments/status", ["CredentialsManage", "CredentialsRead"]),
    ("POST", "/permissions/query/persons/grants", ["CredentialsManage", "CredentialsRead", "SubunitManage"]),
    ("POST", "/permissions/query/subunits/grants", ["CredentialsManage", "CredentialsRead", "SubunitManage"]),
    ("POST", "/permissions/query/entities/grants", ["CredentialsManage", "CredentialsRead"]),
    ("GET", "/permissions/query/entities/roles", ["CredentialsManage", "CredentialsRead"]),
    (
        "POST",
        "/permissions/query/subordinate-entities/roles",
        ["CredentialsManage", "CredentialsRead", "SubunitManage"],
    ),
    ("POST", "/permissions/query/authorizations/grants", ["CredentialsManage", "CredentialsRead", "PefInvoiceWrite"]),
    ("POST", "/permissions/query/eu-entities/grants", ["CredentialsManage", "CredentialsRead", "VatUeManage"]),
]


def test_every_operation_names_the_permissions_it_needs(driver: Driver, client: Session, ksef: Sandbox) -> None:
    ksef.set(rate_profile="off")
    assert grant_person(client, CLERK_ID, "InvoiceRead") == 200
    clerk = driver.sign_in(CLERK, nip=CLIENT)
    for method, path, needed in FORBIDDEN:
        body: dict[str, str] | None = {} if method == "POST" else None
        refused = driver.http.request(method, path, headers=clerk.bearer, json=body)
        assert refused.status_code == 403, path
        assert refused.json()["reasonCode"] == "missing-permissions"
        assert refused.json()["security"] == {"requiredAnyOfPermissions": needed, "presentPermissions": ["InvoiceRead"]}
        anonymous = driver.http.request(method, path, json=body)
        assert anonymous.status_code == 401, path


GOOD_PERSON = person_grant(CLERK_ID, "InvoiceRead")
GOOD_ENTITY = entity_grant(OFFICE, "InvoiceRead")
GOOD_UNIT = {
    "subjectIdentifier": CLERK_ID,
    "contextIdentifier": UNIT,
    "description": "Uprawnienie testowe",
    "subunitName": "Oddział Testowy",
    "subjectDetails": PERSON,
}
GOOD_EU = {
    "subjectIdentifier": identifier("Fingerprint", FINGERPRINT),
    "contextIdentifier": identifier("NipVatUe", f"{CLIENT}-DE123456789"),
    "description": "Uprawnienie testowe",
    "euEntityName": "Muster GmbH",
    "subjectDetails": BY_FINGERPRINT,
    "euEntityDetails": EU_ENTITY,
}
BAD_BODIES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("persons", GOOD_PERSON, {"subjectIdentifier": identifier("Pesel", "123")}, "subjectIdentifier"),
    ("persons", GOOD_PERSON, {"subjectIdentifier": identifier("PeppolId", "PPL123456")}, "subjectIdentifier.type"),
    ("persons", GOOD_PERSON, {"subjectIdentifier": identifier("Fingerprint", "ab" * 32)}, "Fingerprint"),
    ("persons", GOOD_PERSON, {"permissions": []}, "permissions"),
    ("persons", GOOD_PERSON, {"permissions": ["Owner"]}, "permissions"),
    ("persons", GOOD_PERSON, {"permissions": ["InvoiceRead", "invoiceread"]}, "duplicates"),
    ("persons", GOOD_PERSON, {"description": "1234"}, "description"),
    ("persons", GOOD_PERSON, {"description": "x" * 257}, "description"),
    ("persons", GOOD_PERSON, {"subjectDetails": None}, "subjectDetails"),
    ("persons", GOOD_PERSON, {"subjectDetails": {"subjectDetailsType": "PersonByIdentifier"}}, "personById"),
    ("persons", GOOD_PERSON, {"subjectDetails": BY_FINGERPRINT | {"personByFpWithId": None}}, "personByFpWithId"),
    ("entities", GOOD_ENTITY, {"subjectIdentifier": CLERK_ID}, "subjectIdentifier.type"),
    ("entities", GOOD_ENTITY, {"permissions": [{"type": "CredentialsManage"}]}, "permissions"),
    ("entities", GOOD_ENTITY, {"permissions": [{"type": "InvoiceRead"}, {"type": "InvoiceRead"}]}, "duplicates"),
    ("entities", GOOD_ENTITY, {"subjectDetails": {"fullName": "1234"}}, "fullName"),
    ("indirect", GOOD_PERSON, {"permissions": ["Introspection"]}, "permissions"),
    ("indirect", GOOD_PERSON, {"targetIdentifier": {"type": "Nip"}}, "targetIdentifier"),
    ("subunits", GOOD_UNIT, {"subunitName": None}, "subunitName"),
    ("subunits", GOOD_UNIT, {"contextIdentifier": identifier("InternalId", f"{CLIENT}-12345")}, "check digit"),
    ("subunits", GOOD_UNIT, {"contextIdentifier": identifier("InternalId", CLIENT)}, "contextIdentifier"),
    ("eu-entities/administration", GOOD_EU, {"subjectIdentifier": CLERK_ID}, "subjectIdentifier.type"),
    ("eu-entities/administration", GOOD_EU, {"contextIdentifier": UNIT}, "contextIdentifier.type"),
    ("eu-entities/administration", GOOD_EU, {"euEntityDetails": {"fullName": "Muster"}}, "address"),
    ("authorizations", {}, {}, "permission"),
]


@pytest.mark.parametrize(("path", "good", "change", "told"), BAD_BODIES)
def test_a_bad_body_is_refused_and_says_where(
    client: Session, path: str, good: dict[str, Any], change: dict[str, Any], told: str
) -> None:
    refused = client.post(f"/permissions/{path}/grants", good | change)
    assert code_of(refused) == 21405
    assert told in " ".join(details_of(refused))
    if good:
        assert client.post(f"/permissions/{path}/grants", good).status_code == 202


def test_a_person_without_any_number_is_described_by_a_document(client: Session) -> None:
    details = {
        "subjectDetailsType": "PersonByFingerprintWithoutIdentifier",
        "personByFpNoId": {
            "firstName": "Ann",
            "lastName": "Smith",
            "birthDate": "1980-02-29",
            "idDocument": {"type": "passport", "number": "A123", "country": "US"},
        },
    }
    subject = identifier("Fingerprint", FINGERPRINT)
    assert grant_person(client, subject, "InvoiceRead", subjectDetails=details) == 200
    (row,) = persons(client)
    shown = row["subjectPersonDetails"]
    assert (shown["birthDate"], shown["idDocument"]["country"]) == ("1980-02-29", "US")
    details["personByFpNoId"] |= {"birthDate": "1981-02-29"}  # type: ignore[operator]
    refused = client.post("/permissions/persons/grants", person_grant(subject, "Introspection", subjectDetails=details))
    assert code_of(refused) == 21405


@pytest.mark.parametrize("query", ["?pageSize=9", "?pageSize=101", "?pageOffset=-1", "?pageSize=x"])
def test_a_bad_page_is_refused(client: Session, query: str) -> None:
    assert code_of(client.post(f"/permissions/query/persons/grants{query}", BY_CONTEXT)) == 21405
    assert code_of(client.get(f"/permissions/query/entities/roles{query}")) == 21405


def test_a_query_type_must_be_given(client: Session) -> None:
    assert code_of(client.post("/permissions/query/persons/grants", {})) == 21405
    assert code_of(client.post("/permissions/query/authorizations/grants", {"queryType": "Both"})) == 21405


def test_a_peppol_provider_cannot_grant(driver: Driver) -> None:
    provider = driver.sign_in(make_peppol("PPL123456"), context=("PeppolId", "PPL123456"))
    assert provider.post("/permissions/entities/grants", GOOD_ENTITY).status_code == 403
    assert listed(provider, "personal/grants") == []
