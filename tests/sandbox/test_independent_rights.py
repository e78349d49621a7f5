"""Permissions and KSeF tokens by `ksef-client` from PyPI, unchanged: its models, its encryption, its polling."""

from collections.abc import Iterator
from typing import Any

import pytest
from ksef_client.client import KsefClient
from ksef_client.config import KsefClientOptions
from ksef_client.exceptions import KsefApiError
from ksef_client.models import (
    EntityPermissionsGrantRequest,
    GenerateTokenRequest,
    IndirectPermissionsGrantRequest,
    PersonalPermissionsQueryRequest,
    PersonPermissionsQueryRequest,
)
from ksef_client.services.workflows import AuthCoordinator
from tests.sandbox.granting import entity_grant, identifier, person_grant
from tests.sandbox.signing import TestCredential, make_person, make_seal

from ksef_sandbox import Sandbox

CLIENT, OFFICE, PESEL = "5265877635", "7762811692", "80010112345"


@pytest.fixture
def independent(ksef: Sandbox) -> Iterator[Any]:
    with KsefClient(KsefClientOptions(base_url=ksef.base_url.removesuffix("/v2"))) as client:
        yield client


def sign_in(client: Any, credential: TestCredential, nip: str) -> str:
    result = AuthCoordinator(client.auth).authenticate_with_xades(
        context_identifier_type="nip",
        context_identifier_value=nip,
        subject_identifier_type="certificateSubject",
        certificate_pem=credential.certificate_pem.decode(),
        private_key_pem=credential.private_key_pem.decode(),
        poll_interval_seconds=0.01,
    )
    return str(result.access_token)


def outcome(client: Any, token: str, operation: Any) -> int:
    status = client.permissions.get_operation_status(operation.reference_number, access_token=token)
    return int(status.status.code)


def test_an_independent_client_grants_delegates_and_revokes(independent: Any) -> None:
    clerk = make_person(pesel=PESEL)
    company = sign_in(independent, make_seal(nip=CLIENT), CLIENT)
    office = sign_in(independent, make_seal(nip=OFFICE), OFFICE)
    granted = EntityPermissionsGrantRequest.from_dict(entity_grant(OFFICE, "InvoiceRead", delegate=True))
    operation = independent.permissions.grant_entity(granted, access_token=company)
    assert outcome(independent, company, operation) == 200
    passed_on = person_grant(identifier("Pesel", PESEL), "InvoiceRead", targetIdentifier=identifier("Nip", CLIENT))
    operation = independent.permissions.grant_indirect(
        IndirectPermissionsGrantRequest.from_dict(passed_on), access_token=office
    )
    assert outcome(independent, office, operation) == 200

    token = sign_in(independent, clerk, CLIENT)
    own = independent.permissions.query_personal_grants(
        PersonalPermissionsQueryRequest.from_dict({}), access_token=token
    )
    assert [item.permission_scope.value for item in own.permissions] == ["InvoiceRead"]

    query = PersonPermissionsQueryRequest.from_dict({"queryType": "PermissionsInCurrentContext"})
    (row,) = independent.permissions.query_persons_grants(query, access_token=company).permissions
    operation = independent.permissions.revoke_common_permission(row.id, access_token=company)
    assert outcome(independent, company, operation) == 200
    with pytest.raises((KsefApiError, RuntimeError), match="415"):
        sign_in(independent, clerk, CLIENT)


def test_an_independent_client_signs_in_with_a_ksef_token(independent: Any) -> None:
    company = sign_in(independent, make_seal(nip=CLIENT), CLIENT)
    request = GenerateTokenRequest.from_dict({"permissions": ["InvoiceRead"], "description": "Token testowy"})
    made = independent.tokens.generate_token(request, access_token=company)
    key = independent.security.get_public_key_certificate("KsefTokenEncryption")

    def enter() -> Any:
        return AuthCoordinator(independent.auth).authenticate_with_ksef_token(
            token=made.token,
            public_certificate=key.certificate,
            public_key_id=key.public_key_id,
            context_identifier_type="nip",
            context_identifier_value=CLIENT,
            poll_interval_seconds=0.01,
        )

    (seen,) = independent.tokens.list_tokens(access_token=enter().access_token).tokens
    assert (seen.reference_number, seen.status.value) == (made.reference_number, "Active")
    independent.tokens.revoke_token(made.reference_number, access_token=company)
    with pytest.raises((KsefApiError, RuntimeError), match="450"):
        enter()
