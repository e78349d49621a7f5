"""Who may sign in to which context, and with which permissions: every road of facts.md §5 and §7."""

import pytest
from tests.sandbox.driver import Driver, Session
from tests.sandbox.granting import (
    appoint_eu_administrator,
    appoint_eu_representative,
    appoint_subunit_administrator,
    authorize,
    grant_entity,
    grant_indirectly,
    grant_person,
    identifier,
    listed,
    persons,
    revoke,
    revoke_all,
    scopes,
)
from tests.sandbox.signing import TestCredential, make_anonymous, make_peppol, make_person, make_seal

from ksef_sandbox import Sandbox

CLIENT, OFFICE, OTHER = "5265877635", "7762811692", "1111111111"
PESEL = "80010112345"
CLIENT_SEAL, OFFICE_SEAL, OTHER_SEAL = (make_seal(nip=nip) for nip in (CLIENT, OFFICE, OTHER))
CLERK = make_person(pesel=PESEL)
CLERK_ID = identifier("Pesel", PESEL)
UNIT = f"{CLIENT}-12346"  # with a right check digit
EU_CONTEXT = f"{CLIENT}-DE123456789"


def may_enter(driver: Driver, credential: TestCredential, nip: str) -> bool:
    """Whether a sign-in to the company ends in 200 and not in 415."""
    code = driver.status_code(credential, nip=nip)
    assert code in (200, 415)
    return code == 200


@pytest.fixture
def client(driver: Driver) -> Session:
    """The company of the tests, signed in with its seal."""
    return driver.sign_in(CLIENT_SEAL, nip=CLIENT)


@pytest.fixture
def office(driver: Driver) -> Session:
    """An accounting office, signed in with its seal in its own context."""
    return driver.sign_in(OFFICE_SEAL, nip=OFFICE)


def present(session: Session) -> list[str]:
    """What a session may do, as a refusal lists it."""
    body = session.post("/permissions/eu-entities/grants", {}).json()
    assert body["reasonCode"] == "missing-permissions", body
    found: list[str] = body["security"]["presentPermissions"]
    return found


def test_a_company_owns_its_own_context_and_no_other(driver: Driver) -> None:
    assert may_enter(driver, CLIENT_SEAL, CLIENT)
    assert not may_enter(driver, CLIENT_SEAL, OTHER)


def test_a_person_by_nip_owns_the_context_of_that_nip(driver: Driver) -> None:
    assert may_enter(driver, make_person(nip=CLIENT), CLIENT)


def test_a_pesel_owns_a_company_only_when_linked(driver: Driver, ksef: Sandbox) -> None:
    assert not may_enter(driver, CLERK, CLIENT)
    ksef.link_person(nip=CLIENT, pesel=PESEL)
    assert may_enter(driver, CLERK, CLIENT)
    assert not may_enter(driver, CLERK, OTHER)


def test_a_removed_person_owns_nothing_and_takes_the_grants_of_the_context_along(driver: Driver, ksef: Sandbox) -> None:
    ksef.link_person(nip=CLIENT, pesel=PESEL)
    owner = driver.sign_in(CLERK, nip=CLIENT)
    assert grant_entity(owner, OFFICE, "InvoiceRead") == 200
    driver.http.post("/testdata/person/remove", json={"nip": CLIENT})
    assert not may_enter(driver, CLERK, CLIENT)
    assert not may_enter(driver, OFFICE_SEAL, CLIENT)


def test_an_entity_grant_lets_the_office_in_with_exactly_what_was_granted(driver: Driver, client: Session) -> None:
    assert not may_enter(driver, OFFICE_SEAL, CLIENT)
    assert grant_entity(client, OFFICE, "InvoiceRead", "InvoiceWrite") == 200
    guest = driver.sign_in(OFFICE_SEAL, nip=CLIENT)
    assert present(guest) == ["InvoiceRead", "InvoiceWrite"]
    assert not may_enter(driver, OTHER_SEAL, CLIENT)


def test_an_entity_grant_is_not_for_the_persons_of_the_office(driver: Driver, client: Session, ksef: Sandbox) -> None:
    ksef.link_person(nip=OFFICE, pesel=PESEL)
    assert grant_entity(client, OFFICE, "InvoiceRead") == 200
    assert may_enter(driver, make_person(nip=OFFICE), CLIENT)
    assert not may_enter(driver, CLERK, CLIENT)


def test_a_grantee_cannot_grant_on(driver: Driver, client: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead", "InvoiceWrite", delegate=True) == 200
    guest = driver.sign_in(OFFICE_SEAL, nip=CLIENT)
    refused = guest.post("/permissions/entities/grants", {})
    assert refused.status_code == 403
    assert refused.json()["security"] == {
        "requiredAnyOfPermissions": ["CredentialsManage"],
        "presentPermissions": ["InvoiceRead", "InvoiceWrite"],
    }


ANONYMOUS = make_anonymous()
BY_FINGERPRINT = {"nip": CLIENT, "subject": "certificateFingerprint"}


@pytest.mark.parametrize(
    ("credential", "subject", "request_"),
    [
        (CLERK, CLERK_ID, {"nip": CLIENT}),
        (make_person(nip=OTHER), identifier("Nip", OTHER), {"nip": CLIENT}),
        (OTHER_SEAL, identifier("Nip", OTHER), {"nip": CLIENT}),
        (ANONYMOUS, identifier("Fingerprint", ANONYMOUS.fingerprint), BY_FINGERPRINT),
    ],
    ids=["a PESEL", "a NIP by a person", "a NIP by a seal", "a fingerprint"],
)
def test_a_person_grant_works_for(
    driver: Driver, client: Session, credential: TestCredential, subject: dict[str, str], request_: dict[str, str]
) -> None:
    assert driver.status_code(credential, **request_) == 415
    assert grant_person(client, subject, "InvoiceRead", "CredentialsRead") == 200
    assert present(driver.sign_in(credential, **request_)) == ["CredentialsRead", "InvoiceRead"]


def test_an_administrator_may_grant_and_himself_is_not_in_the_way(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "CredentialsManage") == 200
    administrator = driver.sign_in(CLERK, nip=CLIENT)
    assert grant_person(administrator, CLERK_ID, "InvoiceRead") == 200
    assert grant_entity(administrator, OFFICE, "InvoiceRead") == 200
    assert present(driver.sign_in(CLERK, nip=CLIENT)) == ["CredentialsManage", "InvoiceRead"]


def test_rights_of_a_token_stay_until_it_is_refreshed(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "CredentialsManage", "InvoiceRead") == 200
    clerk = driver.sign_in(CLERK, nip=CLIENT)
    revoke_all(client, persons(client, permissionTypes=["CredentialsManage"]))
    assert listed(clerk, "entities/grants") == []  # still allowed with the old token
    fresh = driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {clerk.refresh}"}).json()
    refreshed = Session(driver.http, fresh["accessToken"]["token"], clerk.refresh, clerk.reference)
    assert refreshed.post("/permissions/query/entities/grants").status_code == 403


def test_whoever_lost_every_right_can_neither_sign_in_nor_refresh(driver: Driver, client: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead") == 200
    guest = driver.sign_in(OFFICE_SEAL, nip=CLIENT)
    revoke_all(client, persons(client))
    assert not may_enter(driver, OFFICE_SEAL, CLIENT)
    refused = driver.http.post("/auth/token/refresh", headers={"Authorization": f"Bearer {guest.refresh}"})
    assert refused.status_code == 400


def test_a_selective_indirect_grant_works_for_that_client_alone(
    driver: Driver, client: Session, office: Session
) -> None:
    other = driver.sign_in(OTHER_SEAL, nip=OTHER)
    for grantor in (client, other):
        assert grant_entity(grantor, OFFICE, "InvoiceRead", delegate=True) == 200
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", target=identifier("Nip", CLIENT)) == 200
    assert present(driver.sign_in(CLERK, nip=CLIENT)) == ["InvoiceRead"]
    assert not may_enter(driver, CLERK, OTHER)
    assert not may_enter(driver, CLERK, OFFICE)


@pytest.mark.parametrize("target", [None, {"type": "AllPartners"}])
def test_a_general_indirect_grant_works_for_every_client_present_and_future(
    driver: Driver, client: Session, office: Session, target: dict[str, str] | None
) -> None:
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", target=target) == 200
    assert not may_enter(driver, CLERK, CLIENT)
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=True) == 200
    assert may_enter(driver, CLERK, CLIENT)


def test_an_indirect_grant_gives_only_what_was_delegated(driver: Driver, client: Session, office: Session) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=True) == 200
    assert grant_entity(client, OFFICE, "InvoiceWrite", delegate=False) == 200
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", "InvoiceWrite") == 200
    assert present(driver.sign_in(CLERK, nip=CLIENT)) == ["InvoiceRead"]


def test_a_broken_chain_opens_nothing_though_the_indirect_row_reads_active(
    driver: Driver, client: Session, office: Session
) -> None:
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=True) == 200
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", target=identifier("Nip", CLIENT)) == 200
    revoke_all(client, persons(client))
    assert not may_enter(driver, CLERK, CLIENT)
    (row,) = persons(office)
    assert row["permissionState"] == "Active"
    assert row["targetIdentifier"] == identifier("Nip", CLIENT)


def test_a_selective_grant_for_a_client_that_delegated_nothing_fails(client: Session, office: Session) -> None:
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", target=identifier("Nip", CLIENT)) == 410
    assert grant_entity(client, OFFICE, "InvoiceRead", delegate=False) == 200
    assert grant_indirectly(office, CLERK_ID, "InvoiceRead", target=identifier("Nip", CLIENT)) == 410


def test_the_administrator_of_an_internal_unit_works_in_it_alone(driver: Driver, client: Session) -> None:
    unit = identifier("InternalId", UNIT)
    assert appoint_subunit_administrator(client, CLERK_ID, unit) == 200
    assert not may_enter(driver, CLERK, CLIENT)
    administrator = driver.sign_in(CLERK, context=("InternalId", UNIT))
    assert present(administrator) == ["CredentialsManage"]
    assert grant_person(administrator, identifier("Nip", OTHER), "InvoiceRead") == 200
    assert driver.status_code(OTHER_SEAL, context=("InternalId", UNIT)) == 200
    assert driver.status_code(CLIENT_SEAL, context=("InternalId", UNIT)) == 415


def test_a_unit_of_another_company_cannot_be_administered(client: Session) -> None:
    foreign = f"{OTHER}-00000"
    assert appoint_subunit_administrator(client, CLERK_ID, identifier("InternalId", with_check_digit(foreign))) == 410


def with_check_digit(unit: str) -> str:
    digits = [int(digit) for digit in unit.replace("-", "")[:-1]]
    return unit[:-1] + str(sum(d * (1 if i % 2 == 0 else 3) for i, d in enumerate(digits)) % 10)


def test_the_check_digit_of_the_specification_is_ours() -> None:
    assert with_check_digit("6824515772-12340") == "6824515772-12343"
    assert with_check_digit(UNIT) == UNIT


@pytest.mark.parametrize(("subject_type", "allowed"), [("VatGroup", 200), ("JST", 200), ("EnforcementAuthority", 430)])
def test_a_group_appoints_administrators_of_its_members(
    driver: Driver, client: Session, subject_type: str, allowed: int
) -> None:
    member = identifier("Nip", OTHER)
    assert appoint_subunit_administrator(client, CLERK_ID, member, name=None) == 430
    units = [{"subjectNip": OTHER, "description": "Członek grupy"}]
    subject = {"subjectNip": CLIENT, "subjectType": subject_type, "description": "Podmiot testowy", "subunits": units}
    driver.http.post("/testdata/subject", json=subject)
    assert appoint_subunit_administrator(client, CLERK_ID, member, name=None) == allowed
    assert may_enter(driver, CLERK, OTHER) is (allowed == 200)
    if allowed == 200:
        assert appoint_subunit_administrator(client, CLERK_ID, identifier("Nip", OFFICE), name=None) == 410


def test_an_eu_administrator_works_in_the_joint_context_and_appoints_representatives(
    driver: Driver, client: Session
) -> None:
    administrator, representative = make_anonymous(), make_anonymous()
    enter = {"context": ("NipVatUe", EU_CONTEXT), "subject": "certificateFingerprint"}
    assert driver.status_code(administrator, **enter) == 415
    assert appoint_eu_administrator(client, administrator.fingerprint, EU_CONTEXT) == 200
    session = driver.sign_in(administrator, **enter)
    assert appoint_eu_representative(session, representative.fingerprint, "InvoiceRead") == 200
    assert present(driver.sign_in(representative, **enter)) == ["InvoiceRead"]
    assert driver.status_code(CLIENT_SEAL, context=("NipVatUe", EU_CONTEXT)) == 415  # Owner lacks VatUeManage


def test_an_eu_context_of_another_company_cannot_be_made(client: Session) -> None:
    assert appoint_eu_administrator(client, make_anonymous().fingerprint, f"{OTHER}-DE123456789") == 410


def test_an_authorization_opens_no_context(driver: Driver, client: Session) -> None:
    assert authorize(client, identifier("Nip", OFFICE), "SelfInvoicing") == 200
    assert authorize(client, identifier("PeppolId", "PPL123456"), "PefInvoicing") == 200
    assert not may_enter(driver, OFFICE_SEAL, CLIENT)
    provider = driver.sign_in(make_peppol("PPL123456"), context=("PeppolId", "PPL123456"))
    (received,) = listed(provider, "authorizations/grants", queryType="Received")
    assert received["authorizingEntityIdentifier"] == identifier("Nip", CLIENT)
    assert present(provider) == ["PefInvoiceWrite"]


def test_enforcement_operations_need_the_role(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "EnforcementOperations") == 430
    assert not may_enter(driver, CLERK, CLIENT)
    bailiff = {"nip": CLIENT, "pesel": "90010112345", "isBailiff": True, "description": "Komornik sądowy"}
    driver.http.post("/testdata/person", json=bailiff)
    assert grant_person(client, CLERK_ID, "EnforcementOperations") == 200
    assert may_enter(driver, CLERK, CLIENT)


def test_a_company_grants_itself_nothing(client: Session) -> None:
    assert grant_entity(client, CLIENT, "InvoiceRead") == 440
    assert authorize(client, identifier("Nip", CLIENT), "SelfInvoicing") == 440


def test_paper_grants_of_test_data_open_the_context_and_are_listed_as_the_systems(
    driver: Driver, client: Session
) -> None:
    pair = {"contextIdentifier": identifier("Nip", CLIENT), "authorizedIdentifier": CLERK_ID}
    permission = {"permissionType": "CredentialsManage", "description": "ZAW-FA"}
    driver.http.post("/testdata/permissions", json=pair | {"permissions": [{**permission, "description": "ZAW-FA 1"}]})
    assert present(driver.sign_in(CLERK, nip=CLIENT)) == ["CredentialsManage"]
    (row,) = persons(client)
    assert row["authorIdentifier"] == {"type": "System"}
    assert persons(client, authorIdentifier={"type": "System"}) == [row]
    driver.http.post("/testdata/permissions/revoke", json=pair)
    assert not may_enter(driver, CLERK, CLIENT)


def test_a_grant_works_when_its_operation_is_done_and_not_before(
    driver: Driver, client: Session, ksef: Sandbox
) -> None:
    ksef.set(perm_delay_ms=60_000)
    assert grant_entity(client, OFFICE, "InvoiceRead") == 100
    assert not may_enter(driver, OFFICE_SEAL, CLIENT)
    assert persons(client) == []
    ksef.advance(seconds=60)
    assert may_enter(driver, OFFICE_SEAL, CLIENT)
    (row,) = persons(client)
    assert revoke(client, row["id"]) == 100
    assert may_enter(driver, OFFICE_SEAL, CLIENT)
    ksef.advance(seconds=60)
    assert not may_enter(driver, OFFICE_SEAL, CLIENT)


def test_a_revoked_permission_of_several_leaves_the_others(driver: Driver, client: Session) -> None:
    assert grant_person(client, CLERK_ID, "InvoiceRead", "InvoiceWrite", "Introspection") == 200
    (row,) = persons(client, permissionTypes=["InvoiceWrite"])
    assert revoke(client, row["id"]) == 200
    assert present(driver.sign_in(CLERK, nip=CLIENT)) == ["Introspection", "InvoiceRead"]
    assert scopes(persons(client)) == {"Introspection", "InvoiceRead"}
