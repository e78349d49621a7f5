"""What a signed-in subject may ask of KSeF (facts.md §2.9, §3, §4). Signing in is `client`.

Tokens stay inside; the access token is renewed when it is about to run out, by one call however many need it.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from klucznik.domain.certificates import (
    CertificateRecord,
    CertificateStatus,
    CertificateType,
    RevocationReason,
    check_name,
    parse_serial,
)
from klucznik.domain.enrollment_data import EnrollmentData
from klucznik.domain.identifiers import Context
from klucznik.domain.ksef_token import TokenRecord
from klucznik.domain.limits import Limits
from klucznik.ksef import wire
from klucznik.ksef.answers import (
    EnrollmentStatus,
    EnrollmentTicket,
    RetrievedCertificate,
    SessionRecord,
    TokenPair,
)
from klucznik.ksef.calls import Care, call, json_content
from klucznik.ksef.failures import MOST_PAGES, endless_listing
from klucznik.ksef.permissions import Permissions
from klucznik.ksef.sign_on import SignOn
from klucznik.ksef.transport import Transport

RETRIEVE_AT_ONCE = 10  # serial numbers in one request (openapi: maxItems)
CERTIFICATES_ON_A_PAGE = 50
SESSIONS_ON_A_PAGE = 100


class Session:
    """One signed-in subject in one context; made by `KsefClient`.

    Every call may raise, besides what it names:
        KsefRefused: KSeF said no; nothing was applied.
        RateLimited: 429; nothing was applied.
        Paced: too many calls in too short a time, here or in another worker; nothing was sent.
        KsefUnavailable: no usable answer.
        SignatureNeeded: the session is over; only a new sign-in helps. Nothing was applied.
    """

    def __init__(self, transport: Transport, context: Context, tokens: TokenPair) -> None:
        self.context = context
        self._calls = SignOn(transport, context, tokens)
        self.permissions = Permissions(self._calls)

    def __repr__(self) -> str:
        return f"<Session {self.context}>"

    @property
    def tokens(self) -> TokenPair | None:
        """The tokens as they are now, for the vault alone; None once the session was ended here."""
        return self._calls.tokens

    async def limits(self) -> Limits:
        """Both limits of the subject, as of now."""
        return await self._calls.ask(call("GET", "/certificates/limits"), wire.limits)

    async def enrollment_data(self) -> EnrollmentData:
        """What a certificate request must say.

        Raises:
            KsefRefused: 25001, the way of signing in does not allow it.
        """
        return await self._calls.ask(call("GET", "/certificates/enrollments/data"), wire.enrollment_data)

    async def turn_to_enroll(self) -> bool:
        """Wait for the turn of one `enroll`, which then leaves at once (`in_turn`). Whether it had to wait."""
        return await self._calls.turn(call("POST", "/certificates/enrollments", Care.SPENDS))

    async def enroll(
        self,
        *,
        name: str,
        type: CertificateType,
        csr: bytes,
        valid_from: datetime | None = None,
        send_by: datetime | None = None,
        in_turn: bool = False,
    ) -> EnrollmentTicket:
        """File one certificate request. It is sent once, whatever happens.

        Args:
            name: 5 to 100 characters (`check_name`); make it unique, it is the only handle when the answer is lost.
            csr: PKCS#10, DER.
            valid_from: start of validity, with a time zone; None for the moment of issue.
            send_by: the last moment at which it may leave this machine (UTC); None: any.
            in_turn: its turn has been waited for by `turn_to_enroll`.

        Raises:
            InvalidValue: the name; nothing was sent.
            KsefRefused: 25002 to 25011, 21405: nothing was spent, by all we know (facts.md §4.3).
            SentTooLate: `send_by` had passed; nothing was sent.
            AnswerLost: a request may have been spent. Look for the certificate before anything else is sent.
            KsefUnavailable: any other: nothing left this machine.
        """
        body = {
            "certificateName": check_name(name),
            "certificateType": type.value,
            "csr": base64.b64encode(csr).decode("ascii"),
        }
        if valid_from is not None:
            body["validFrom"] = _moment(valid_from)
        content = json_content(body)
        request = call(
            "POST", "/certificates/enrollments", Care.SPENDS, content=content, send_by=send_by, in_turn=in_turn
        )
        return await self._calls.ask(request, wire.enrollment_ticket)

    async def enrollment_status(self, reference_number: str) -> EnrollmentStatus:
        """How far a request is. KSeF counts the polls of *all* requests together: 30 a minute, 120 an hour (§1.4).

        Raises:
            KsefRefused: 25005, no such request; ``ksef_gone`` after 30 days.
        """
        return await self._calls.ask(
            call("GET", "/certificates/enrollments/{referenceNumber}", referenceNumber=reference_number),
            wire.enrollment_status,
        )

    async def retrieve(self, serial_numbers: Sequence[str]) -> dict[str, RetrievedCertificate]:
        """Certificates by serial number; one that KSeF does not hand out is missing from the answer.

        KSeF's order says nothing, so they are matched by serial number; what was not asked for is left out.

        Raises:
            InvalidValue: a serial number is not 16 hexadecimal digits.
        """
        wanted = list(dict.fromkeys(parse_serial(serial) for serial in serial_numbers))
        found: dict[str, RetrievedCertificate] = {}
        for start in range(0, len(wanted), RETRIEVE_AT_ONCE):
            batch = wanted[start : start + RETRIEVE_AT_ONCE]
            request = call("POST", "/certificates/retrieve", content=json_content({"certificateSerialNumbers": batch}))
            answer = await self._calls.ask(request, wire.retrieved_certificates)
            found.update({item.serial_number: item for item in answer if item.serial_number in batch})
        return found

    async def certificates(
        self,
        *,
        name: str | None = None,
        type: CertificateType | None = None,
        status: CertificateStatus | None = None,
        serial_number: str | None = None,
        expires_after: datetime | None = None,
    ) -> AsyncIterator[CertificateRecord]:
        """The subject's certificates, newest request first; requests in progress or rejected are never listed.

        Args:
            name: a part of the name; in which letter case is undocumented, so compare what comes back.
            expires_after: with a time zone.
        """
        filters = {
            "name": name,
            "type": type,
            "status": status,
            "certificateSerialNumber": parse_serial(serial_number) if serial_number is not None else None,
            "expiresAfter": _moment(expires_after) if expires_after is not None else None,
        }
        body = json_content({field: value for field, value in filters.items() if value is not None})
        seen: set[str] = set()
        for page in range(MOST_PAGES):
            parameters = (("pageSize", str(CERTIFICATES_ON_A_PAGE)), ("pageOffset", str(page)))
            request = call("POST", "/certificates/query", content=body, parameters=parameters)
            records, more = await self._calls.ask(request, wire.certificate_page)
            # A certificate issued between two pages pushes others to the next one: they would come twice.
            for record in records:
                if record.serial_number not in seen:
                    seen.add(record.serial_number)
                    yield record
            if not more:
                return
        raise endless_listing("/certificates/query", self._calls.host)

    async def revoke(self, serial_number: str, reason: RevocationReason = RevocationReason.UNSPECIFIED) -> None:
        """Revoke a certificate, for good. It frees a certificate slot, never a request (facts.md §4.3).

        Raises:
            KsefRefused: 25008 no such certificate, 25009 already revoked, blocked or expired.
            AnswerLost: it may have been revoked; the certificate's status tells.
        """
        request = call(
            "POST",
            "/certificates/{certificateSerialNumber}/revoke",
            Care.SPENDS,
            content=json_content({"revocationReason": reason.value}),
            certificateSerialNumber=parse_serial(serial_number),
        )
        await self._calls.tell(request)

    async def token(self, reference_number: str) -> TokenRecord:
        """What KSeF says of a KSeF token of this context; a session of a token sees that one (facts.md §6)."""
        return await self._calls.ask(
            call("GET", "/tokens/{referenceNumber}", referenceNumber=reference_number), wire.token_record
        )

    async def sessions(self) -> list[SessionRecord]:
        """The subject's authentication sessions that are not over, newest first."""
        found: list[SessionRecord] = []
        following: str | None = None
        for _ in range(MOST_PAGES):
            headers = (("x-continuation-token", following),) if following is not None else ()
            parameters = (("pageSize", str(SESSIONS_ON_A_PAGE)),)
            request = call("GET", "/auth/sessions", parameters=parameters, headers=headers)
            records, following = await self._calls.ask(request, wire.session_page)
            found.extend(records)
            if following is None:
                return found
        raise endless_listing("/auth/sessions", self._calls.host)

    async def end(self) -> None:
        """End this session. KSeF honours its access token up to 15 minutes more (facts.md §2.9); we forget it now."""
        await self._calls.end(call("DELETE", "/auth/sessions/current", Care.ONCE))

    async def end_session(self, reference_number: str) -> None:
        """End another session of the subject."""
        await self._calls.tell(
            call("DELETE", "/auth/sessions/{referenceNumber}", Care.ONCE, referenceNumber=reference_number)
        )


def _moment(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).isoformat()
