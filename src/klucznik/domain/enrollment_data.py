"""What KSeF says must stand in a certificate request: the attributes of the subject's own certificate.

Reading the answer lives in `ksef`, building the request in `keys`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class EnrollmentData:
    """KSeF's answer to ``GET /certificates/enrollments/data``; a request must repeat it exactly (facts.md §3.4).

    Attributes:
        common_name: X.520 commonName.
        country_name: two-letter country code.
        given_name: first name; a person has one, a company has none.
        surname: family name of a person.
        serial_number: ``PNOPL-…``, ``TINPL-…`` and the like, as KSeF writes it.
        unique_identifier: X.500 uniqueIdentifier (2.5.4.45); the fingerprint of a certificate without an identity.
        organization_name: name of a company.
        organization_identifier: ``VATPL-…`` of a company.
    """

    common_name: str | None = None
    country_name: str | None = None
    given_name: str | None = None
    surname: str | None = None
    serial_number: str | None = None
    unique_identifier: str | None = None
    organization_name: str | None = None
    organization_identifier: str | None = None
