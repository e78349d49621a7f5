"""Permissions of every kind by `ksef-client` from PyPI, unchanged, by both of its faces: its models, its calls."""

from typing import Any

import pytest
from ksef_client import models
from ksef_client.exceptions import KsefApiError
from tests.sandbox.granting import (
    authorization_grant,
    entity_grant,
    eu_administrator_grant,
    identifier,
    person_grant,
    subunit_grant,
)
from tests.sandbox.independent import FACES, Client, Face, connected
from tests.sandbox.signing import make_anonymous, make_person, make_seal

from ksef_sandbox import Sandbox

CLIENT, OFFICE, PESEL = "5265877635", "7762811692", "80010112345"
UNIT, EU_CONTEXT = f"{CLIENT}-12346", f"{CLIENT}-DE123456789"
CLERK_ID = identifier("Pesel", PESEL)


class Signed:
    """A signed-in client: operations are followed to their end, lists are fetched whole."""

    def __init__(self, client: Client, tokens: Any) -> None:
        self._client, self._token = client, tokens.access_token.token

    async def grant(self, kind: str, model: Any, body: dict[str, Any]) -> int:
        return await self._ended(await self._call(f"grant_{kind}", model.from_dict(body)))

    async def revoke(self, kind: str, grant_id: str) -> int:
        return await self._ended(await self._call(f"revoke_{kind}", grant_id))

    async def listed(self, kind: str, model: Any, **filters: Any) -> list[Any]:
        found = await self._call(f"query_{kind}", model.from_dict(filters), page_size=10, page_offset=0)
        (items,) = [value for value in vars(found).values() if isinstance(value, list)]
        return items

    async def _ended(self, operation: Any) -> int:
        status = await self._call("get_operation_status", operation.reference_number)
        return int(status.status.code)

    async def _call(self, name: str, *arguments: Any, **options: Any) -> Any:
        return await getattr(self._client.permissions, name)(*arguments, access_token=self._token, **options)


async def signed_in(client: Client, nip: str) -> Signed:
    return Signed(client, await client.sign_in(make_seal(nip=nip), nip))


@pytest.mark.parametrize("face", FACES)
async def test_it_grants_lists_and_revokes_permissions_of_every_kind(ksef: Sandbox, face: Face) -> None:
    async with connected(ksef, face) as client:
        company, office = await signed_in(client, CLIENT), await signed_in(client, OFFICE)
        clerk, foreigner = make_person(pesel=PESEL), make_anonymous()

        # A person, directly.
        assert (
            await company.grant(
                "person", models.PersonPermissionsGrantRequest, person_grant(CLERK_ID, "CredentialsRead")
            )
            == 200
        )
        inside = Signed(client, await client.sign_in(clerk, CLIENT))
        (own,) = await inside.listed("personal_grants", models.PersonalPermissionsQueryRequest)
        assert own.permission_scope.value == "CredentialsRead"
        persons = {"queryType": "PermissionsInCurrentContext"}
        (row,) = await company.listed("persons_grants", models.PersonPermissionsQueryRequest, **persons)
        assert await company.revoke("common_permission", row.id) == 200
        with pytest.raises((KsefApiError, RuntimeError), match="415"):
            await client.sign_in(clerk, CLIENT)

        # An office, which passes on what it was given.
        body = entity_grant(OFFICE, "InvoiceRead", delegate=True)
        assert await company.grant("entity", models.EntityPermissionsGrantRequest, body) == 200
        (received,) = await office.listed("entities_grants", models.EntityPermissionsQueryRequest)
        assert (received.permission_scope.value, received.can_delegate) == ("InvoiceRead", True)
        body = person_grant(CLERK_ID, "InvoiceRead", targetIdentifier=identifier("Nip", CLIENT))
        assert await office.grant("indirect", models.IndirectPermissionsGrantRequest, body) == 200
        assert await client.sign_in(clerk, CLIENT)

        # The administrator of a subunit.
        unit = identifier("InternalId", UNIT)
        body = subunit_grant(CLERK_ID, unit, name="Oddział Łódź")
        assert await company.grant("subunit", models.SubunitPermissionsGrantRequest, body) == 200
        (administrator,) = await company.listed("subunits_grants", models.SubunitPermissionsQueryRequest)
        assert (administrator.subunit_name, administrator.subunit_identifier.value) == ("Oddział Łódź", UNIT)
        assert await client.sign_in(clerk, UNIT, kind="internalId")

        # An authorization between companies.
        body = authorization_grant(identifier("Nip", OFFICE), "TaxRepresentative")
        assert await company.grant("authorization", models.EntityAuthorizationPermissionsGrantRequest, body) == 200
        query = models.EntityAuthorizationPermissionsQueryRequest
        (given,) = await company.listed("authorizations_grants", query, queryType="Granted")
        (seen,) = await office.listed("authorizations_grants", query, queryType="Received")
        assert given == seen
        assert await company.revoke("authorization", given.id) == 200
        assert await company.listed("authorizations_grants", query, queryType="Granted") == []

        # An administrator and a representative of an EU entity, known by their certificates' fingerprints.
        body = eu_administrator_grant(foreigner.fingerprint, EU_CONTEXT)
        grant = models.EuEntityAdministrationPermissionsGrantRequest
        assert await company.grant("eu_entity_admin", grant, body) == 200
        tokens = await client.sign_in(foreigner, EU_CONTEXT, kind="nipVatUe", subject="certificateFingerprint")
        abroad = Signed(client, tokens)
        representative = identifier("Fingerprint", make_anonymous().fingerprint)
        body = person_grant(representative, "InvoiceRead")
        assert await abroad.grant("eu_entity", models.EuEntityPermissionsGrantRequest, body) == 200
        only = {"authorizedFingerprintIdentifier": representative["value"]}
        (row,) = await abroad.listed("eu_entities_grants", models.EuEntityPermissionsQueryRequest, **only)
        assert row.permission_scope.value == "InvoiceRead"

        # Roles come from test data.
        units = [{"subjectNip": OFFICE, "description": "Jednostka podrzędna"}]
        group = {"subjectNip": CLIENT, "subjectType": "JST", "description": "Gmina testowa", "subunits": units}
        await client.testdata.create_subject(models.SubjectCreateRequest.from_dict(group))
        (role,) = await company.listed("subordinate_entities_roles", models.SubordinateEntityRolesQueryRequest)
        assert role.subordinate_entity_identifier.value == OFFICE
        # Those two are asked for by the tests of test data.
        elsewhere = {"check_attachment_permission_status", "query_entities_roles"}
        assert client.permissions.recorder.unused == elsewhere
