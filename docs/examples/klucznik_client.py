"""A client of Klucznik's API. Made from its description by scripts/api_client.py: change it there.

Needs httpx alone. Every method is a route of the API; what it takes and gives are dictionaries of these shapes.
"""

from __future__ import annotations

import uuid
from types import TracebackType
from typing import Any, Literal, NotRequired, Self, TypedDict, cast

import httpx


class Refused(Exception):
    """A request was not carried out. Decide by `reason`; `problem` is all that the API has said (RFC 9457)."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['reason']}: {problem['detail']}")
        self.reason: str = problem["reason"]
        self.status: int = problem["status"]
        self.problem = problem


Act = Literal["grant", "revoke"]


class Allowance(TypedDict):
    # How much is left of how much.
    remaining: int
    limit: int


class AuditPage(TypedDict):
    # A page of the log, the newest first.
    items: list[AuditRow]
    next: str | None


class AuditRow(TypedDict):
    # One thing that was done, sealed in the very transaction that did it.
    at: str
    event: str
    text: str
    issuance: str | None
    actor: str | None
    facts: dict[str, Any]
    seal: Seal | None


class BareConnection(TypedDict):
    # A connection without its certificates.
    id: str
    context: Company
    name: str | None
    method: Method
    subject: Subject | None
    health: Health
    health_since: str
    health_code: int | None
    checked_at: str | None
    revokes_superseded: bool


class BareIssuance(TypedDict):
    # An issuance without its requests.
    id: str
    context: Company
    subject: Subject
    state: IssuanceState
    missing: list[CertificateType]
    waits_for: WaitKind | None
    waits_until: str | None
    reason: str | None
    cancelled: bool
    created_at: str


class BareOnboarding(TypedDict):
    # A company on its way to a connection, without its refusal.
    id: str
    context: Company
    name: str | None
    state: OnboardingState
    setback: Setback | None
    refused_code: int | None
    checking_since: str | None
    under_way: UnderWay | None
    signer: SignerKind | None
    method: Method | None
    subject: Subject | None
    signed_by_another: bool
    limits: Limits | None
    limits_at: str | None
    issuance: str | None
    created_at: str
    updated_at: str


class BroughtToken(TypedDict):
    # A KSeF token of the company; it is sealed here and in no answer.
    token: str


class Cancelled(TypedDict):
    # What calling it off has come to.
    issuance: BareIssuance
    requests_spent: int
    requests_saved: int


class CarryOut(TypedDict):
    # How its invitations go.
    send: NotRequired[bool]
    language: NotRequired[Language]


Cause = Literal["requests_already_used", "certificates_already_held", "earlier_tests_or_attempts"]


class Certificate(TypedDict):
    # A certificate whose private key is here.
    type: CertificateType
    serial: str
    name: str
    valid_from: str
    valid_to: str
    key_at: KeyPlace
    verified: bool


class CertificatePage(TypedDict):
    # A page of certificates whose keys are here, by serial number.
    items: list[VaultCertificate]
    next: str | None


class CertificatePrograms(TypedDict):
    # For which programs a certificate was exported.
    serial: str
    programs: list[str]


class CertificateRequest(TypedDict):
    # One certificate request of an issuance.
    type: CertificateType
    name: str
    state: EnrollmentState
    reference: str | None
    serial: str | None
    failure: RequestFailure | None


CertificateStatus = Literal["Active", "Blocked", "Revoked", "Expired"]


CertificateType = Literal["Authentication", "Offline"]


Column = Literal["nip", "name", "email", "method"]


class Company(TypedDict):
    # For whom one acts.
    type: ContextType
    value: str


class Confirmation(TypedDict):
    # The yes.
    key_type: NotRequired[KeyType]


class ConnectedByGrant(TypedDict):
    # The operator has been let in, or will be.
    onboarding: Onboarding
    granted: list[Permission]
    connection: BareConnection


class Connection(TypedDict):
    # A company and the method by which we may act for it.
    id: str
    context: Company
    name: str | None
    method: Method
    subject: Subject | None
    health: Health
    health_since: str
    health_code: int | None
    checked_at: str | None
    revokes_superseded: bool
    certificates: list[Certificate]
    next_date: NextDate | None


class ConnectionChange(TypedDict):
    # What is not given stays as it is.
    name: NotRequired[str | None]
    revokes_superseded: NotRequired[bool | None]


class ConnectionDetail(TypedDict):
    # A connection in full.
    id: str
    context: Company
    name: str | None
    method: Method
    subject: Subject | None
    health: Health
    health_since: str
    health_code: int | None
    checked_at: str | None
    revokes_superseded: bool
    certificates: list[Certificate]
    next_date: NextDate | None
    programs: list[CertificatePrograms]
    same_subject: list[Company]
    token_reference: str | None
    token_last_day: str | None


class ConnectionPage(TypedDict):
    # A page of connections, by NIP.
    items: list[Connection]
    next: str | None


ContextType = Literal["Nip", "InternalId", "NipVatUe"]


class CountedImport(TypedDict):
    # With how far its lines have come.
    id: str
    file_name: str
    state: ImportState
    created_at: str
    carried_out_at: str | None
    lines: Tally


CredentialSource = Literal["issued", "given"]


Dated = Literal["renewal_due", "certificate_ends", "certificate_ended", "tokens_end"]


class Delivery(TypedDict):
    # One event on its way to one webhook.
    id: str
    event: str
    type: str
    nip: str | None
    state: klucznik__domain__webhooks__DeliveryState
    attempts: int
    due_at: str | None
    status: int | None
    problem: Problem | None
    created_at: str
    ended_at: str | None


class DeliveryPage(TypedDict):
    # A page of deliveries, the newest first.
    items: list[Delivery]
    next: str | None


Disabled = Literal["by_somebody", "failing", "gone"]


class Document(TypedDict):
    # A document to sign as it is, with a qualified signature, a seal or the trusted profile.
    id: str
    expires_at: str
    document: str


EnrollmentState = Literal[
    "key_committed", "sending", "unknown", "requested", "issued", "retrieved", "verified", "rejected", "unsent"
]


Environment = Literal["sandbox", "test", "demo", "production"]


class Estimate(TypedDict):
    # When, as far as anybody can tell: a range with its evidence, never a promise.
    earliest: str | None
    latest: str | None
    known: int
    counted: int
    complete: bool
    by_rule: dict[str, str | None]


class Event(TypedDict):
    # Something that happened.
    id: str
    type: str
    timestamp: str
    environment: Environment
    nip: str | None
    issuance: str | None
    actor: str | None
    data: dict[str, Any]


class EventPage(TypedDict):
    # Events in the order in which they are told.
    items: list[Event]
    next: str
    more: bool


class Evidence(TypedDict):
    # What it rests on.
    source: Source
    number: int | None
    at: str | None


class Fault(TypedDict):
    # What is wrong with a line, and where.
    column: Column | None
    reason: str
    detail: str


class FieldProblem(TypedDict):
    # What is wrong with one part of a request.
    where: str
    pointer: str
    code: str
    detail: str


class Finding(TypedDict):
    # One reason not to start.
    code: Reason
    needed: int
    remaining: int
    limit: int
    reserved: int
    text: str


class GrantOrder(TypedDict):
    # The yes to a grant.
    operator: str
    delegable: NotRequired[bool]


Health = Literal[
    "unchecked", "healthy", "awaiting_grant", "permission_lost", "certificate_invalid", "token_invalid", "blocked"
]


class Import(TypedDict):
    # A list that was read.
    id: str
    file_name: str
    state: ImportState
    created_at: str
    carried_out_at: str | None


ImportMethod = Literal["invitation", "permission"]


class ImportPage(TypedDict):
    # A page of lists, the newest first.
    items: list[Import]
    next: str | None


ImportState = Literal["preview", "carried_out"]


class Invitation(TypedDict):
    # A company that is asked to connect itself.
    id: str
    nip: str
    name: str | None
    email: str | None
    language: Language
    letter: Letter | None
    state: InvitationState
    created_at: str
    expires_at: str
    opened_at: str | None
    done_at: str | None
    revoked_at: str | None


class InvitationPage(TypedDict):
    # A page of invitations, the newest first.
    items: list[Invitation]
    next: str | None


InvitationState = Literal["open", "opened", "done", "expired", "revoked"]


class Invited(TypedDict):
    # With its link, which is told this once.
    id: str
    nip: str
    name: str | None
    email: str | None
    language: Language
    letter: Letter | None
    state: InvitationState
    created_at: str
    expires_at: str
    opened_at: str | None
    done_at: str | None
    revoked_at: str | None
    link: str | None


class Issuance(TypedDict):
    # The durable order for what is missing of a pair, as its row says now.
    id: str
    context: Company
    subject: Subject
    state: IssuanceState
    missing: list[CertificateType]
    waits_for: WaitKind | None
    waits_until: str | None
    reason: str | None
    cancelled: bool
    created_at: str
    requests_spent: int
    requests: list[CertificateRequest]


class IssuanceDetail(TypedDict):
    # An issuance with the certificates that have come of it.
    id: str
    context: Company
    subject: Subject
    state: IssuanceState
    missing: list[CertificateType]
    waits_for: WaitKind | None
    waits_until: str | None
    reason: str | None
    cancelled: bool
    created_at: str
    requests_spent: int
    requests: list[CertificateRequest]
    certificates: list[Certificate]


class IssuancePage(TypedDict):
    # A page of issuances, the newest first.
    items: list[Issuance]
    next: str | None


IssuanceState = Literal["planned", "underway", "done", "refused", "rejected", "cancelled"]


KeyPlace = Literal["vault", "token"]


KeyType = Literal["ec", "rsa"]


Kind = Literal[
    "issuance.ordered",
    "issuance.waiting",
    "issuance.refused",
    "issuance.done",
    "issuance.rejected",
    "issuance.cancelled",
    "certificate.issued",
    "certificate.rejected",
    "certificate.revoked",
    "certificate.imported",
    "certificate.exported",
    "certificate.expiring",
    "renewal.failed",
    "connection.made",
    "connection.changed",
    "connection.removed",
    "connection.permission_lost",
    "connection.health_changed",
    "permission.granted",
    "permission.refused",
    "permission.withdrawn",
    "token.ending",
    "onboarding.begun",
    "onboarding.ended",
    "webhook.disabled",
    "webhook.test",
]


class KsefProblem(TypedDict):
    # What KSeF itself has said; its help desk asks for the trace id.
    status: int | None
    code: int | None
    text: str
    details: list[str]
    trace_id: str | None


Language = Literal["pl", "en"]


class Letter(TypedDict):
    # What has become of the letter with its link.
    to: str
    state: klucznik__domain__letters__DeliveryState
    at: str | None
    problem: str | None


class LikelyCause(TypedDict):
    # What probably led there.
    code: Cause
    count: int | None
    text: str


class Limits(TypedDict):
    # What KSeF has told of a subject: certificate requests of the period, and active certificates.
    enrollment: Allowance
    certificate: Allowance
    can_request: bool


class Line(TypedDict):
    # One company of a list.
    number: int
    nip: str | None
    name: str | None
    email: str | None
    method: ImportMethod | None
    outcome: LineOutcome | None
    faults: list[Fault]


LineOutcome = Literal["bad", "invited", "awaited", "skipped"]


class LinePage(TypedDict):
    # A page of lines in their order.
    items: list[Line]
    next: str | None


class Links(TypedDict):
    # The links of a list, which are told this once; those told before open nothing any more.
    items: list[Invited]


class ListedCertificate(TypedDict):
    # A certificate as KSeF lists it.
    type: CertificateType
    serial: str
    name: str
    status: CertificateStatus
    valid_from: str
    valid_to: str
    requested_at: str
    last_used_at: str | None
    key_in_vault: bool


class ListedCertificates(TypedDict):
    # All certificates of a subject, in all its companies.
    subject: Subject
    certificates: list[ListedCertificate]


class Look(TypedDict):
    # What there is to decide on.
    onboarding: Onboarding
    missing: list[CertificateType]
    held: list[Certificate]
    reserved: int


Method = Literal["certificates", "imported", "permission", "token"]


class MethodChoice(TypedDict):
    # By what the company is to be connected.
    method: Method


class NewImport(TypedDict):
    # A list of companies, as a spreadsheet saves it.
    csv: str
    file_name: NotRequired[str]


class NewInvitation(TypedDict):
    # Whom to invite.
    nip: str
    name: NotRequired[str | None]
    email: NotRequired[str | None]
    days: NotRequired[int]
    send: NotRequired[bool]
    language: NotRequired[Language]


class NewIssuance(TypedDict):
    # An order for what a connected company's subject lacks of a pair.
    nip: str
    another_pair: NotRequired[bool]
    wait_for_limits: NotRequired[bool]
    key_type: NotRequired[KeyType]


class NewOnboarding(TypedDict):
    # A company to be set on its way.
    nip: str
    name: NotRequired[str | None]


class NewRenewal(TypedDict):
    # A renewal of what is due by which a company is acted for.
    nip: str


class NewRevocation(TypedDict):
    # A revocation.
    nip: str
    reason: NotRequired[RevocationReason]
    end_sessions: NotRequired[bool]


class NewWebhook(TypedDict):
    # Where to, and what of.
    url: str
    types: NotRequired[list[Kind]]
    nip: NotRequired[str | None]


class NextDate(TypedDict):
    # The next date that matters.
    about: Dated
    at: str


class Onboarding(TypedDict):
    # A company on its way to a connection.
    id: str
    context: Company
    name: str | None
    state: OnboardingState
    setback: Setback | None
    refused_code: int | None
    checking_since: str | None
    under_way: UnderWay | None
    signer: SignerKind | None
    method: Method | None
    subject: Subject | None
    signed_by_another: bool
    limits: Limits | None
    limits_at: str | None
    issuance: str | None
    created_at: str
    updated_at: str
    refusal: Preflight | None


class OnboardingPage(TypedDict):
    # A page of onboardings that have not ended, the latest changed first.
    items: list[BareOnboarding]
    next: str | None


OnboardingState = Literal["signer", "method", "sign", "limits", "connect", "issuing", "refused", "done", "given_up"]


class OpenedWebhook(TypedDict):
    # With its secret, which is told this once.
    id: str
    url: str
    types: list[str]
    nip: str | None
    created_at: str
    disabled_at: str | None
    disabled_because: Disabled | None
    failing_since: str | None
    secret: str


class Operator(TypedDict):
    # Who would be let in.
    nip: str
    name: str


class OperatorCredential(TypedDict):
    # One thing the operator can sign in with now.
    source: CredentialSource
    serial: str
    name: str
    valid_to: str


class OperatorStatus(TypedDict):
    # Who runs this installation.
    nip: str
    name: str
    credentials: list[OperatorCredential]


Order = Literal["urgent", "next", "name", "nip", "health"]


OrderOutcome = Literal["ordered", "issued", "refused", "rejected", "cancelled", "already_held"]


class Ordered(TypedDict):
    # What became of an order: an issuance, or nothing to do.
    outcome: OrderOutcome
    issuance: Issuance | None
    certificates: list[Certificate]


Origin = Literal["issued", "imported"]


Permission = Literal["InvoiceRead", "InvoiceWrite", "CredentialsManage", "CredentialsRead", "SubunitManage"]


class Preflight(TypedDict):
    # The decision on both limits as KSeF tells them now.
    outcome: PreflightOutcome
    subject: Subject
    context: Company
    limits: Limits
    needed: int
    requests_filed: int
    reasons: list[Finding]
    causes: list[LikelyCause]
    remedies: list[Remedy]


PreflightOutcome = Literal["go", "already_held", "refused"]


class Problem(TypedDict):
    # Why a request was not carried out (RFC 9457).
    type: str
    title: str
    status: int
    detail: str
    instance: str
    reason: str
    data: dict[str, str | int | None]
    now: str | None
    who: str | None
    changed_by: str | None
    ksef: KsefProblem | None
    errors: list[FieldProblem]


class Progress(TypedDict):
    # How far it is; from rows alone, so it may be asked as often as you like.
    state: OnboardingState
    setback: Setback | None
    issuance: Issuance | None
    steps: list[Step]


class ProposedGrant(TypedDict):
    # What would be granted, and to whom.
    context: Company
    operator: Operator
    permissions: list[Permission]
    delegable: bool


Reason = Literal[
    "request_limit_below_needed",
    "certificate_limit_below_needed",
    "ksef_forbids_requests",
    "requests_reserved_for_renewal",
]


class Remedy(TypedDict):
    # A way out, the best first.
    kind: RemedyKind
    task: Task
    here: bool
    suffices: bool
    after: RemedyKind | None
    spends: int
    frees_requests: int
    frees_certificates: int
    certificates: list[RemedyCertificate]
    suggested: list[str]
    risks: list[RemedyRisk]
    evidence: list[Evidence]
    estimate: Estimate | None
    title: str
    effect: str
    text: str


class RemedyCertificate(TypedDict):
    # A certificate that a way out is about.
    serial: str
    type: CertificateType
    name: str
    requested_at: str
    last_used_at: str | None
    valid_to: str
    superseded: bool
    key_in_vault: bool


RemedyKind = Literal[
    "reuse",
    "complete_pair",
    "grant_permission",
    "import",
    "revoke",
    "token",
    "wait_for_requests",
    "wait_for_certificate_slot",
]


class RemedyRisk(TypedDict):
    # What may go wrong on a way out, or is given up by it.
    code: Risk
    text: str


class Renewal(TypedDict):
    # How it stands with the certificates of one subject.
    subject: Subject
    due: list[CertificateType]
    due_at: str
    last_possible: str | None
    not_before: str | None
    issuance: BareIssuance | None


class Renewals(TypedDict):
    # What was ordered; nothing where nothing is due.
    items: list[Renewal]


class Replay(TypedDict):
    # What to send once more, with the ids it had.
    since: str


class Replayed(TypedDict):
    # How much is sent once more.
    events: int


class RequestFailure(TypedDict):
    # Why KSeF rejected a request.
    code: int | None
    text: str
    details: str
    reason: str | None


class Revocation(TypedDict):
    # What was revoked.
    serial: str
    type: CertificateType
    name: str
    key_in_vault: bool
    programs: list[str]
    sessions_ended: int | None


class RevocationOrder(TypedDict):
    # The yes to a revocation.
    serials: list[str]
    end_sessions: NotRequired[bool]


RevocationReason = Literal["Unspecified", "Superseded", "KeyCompromise"]


class RevokedForRoom(TypedDict):
    # What was revoked, and what the limits leave since.
    onboarding: Onboarding
    missing: list[CertificateType]
    held: list[Certificate]
    reserved: int
    revoked: list[str]
    sessions_ended: int | None


Risk = Literal[
    "operator_may_invoice",
    "personal_certificate",
    "revoking_is_final",
    "printed_codes_stop_verifying",
    "sessions_live_on",
    "used_elsewhere",
    "nothing_offline",
    "tokens_end",
    "may_never_renew",
    "others_may_spend",
]


class Seal(TypedDict):
    # Where a row stands in the log and what seals it, as `klucznik audit export` writes it.
    chain: str
    number: int
    key: str
    previous: str
    mac: str


class SendInvitation(TypedDict):
    # Where its new link is to go.
    email: NotRequired[str | None]
    language: NotRequired[Language | None]


Setback = Literal[
    "login_over",
    "signer_refused",
    "issuance_rejected",
    "issuance_cancelled",
    "limits_shrank",
    "sign_in_refused",
    "sign_in_unfinished",
    "grant_refused",
    "grant_unfinished",
    "revocation_refused",
    "revocation_unfinished",
    "signed_by_operator",
    "issued_for_another",
]


class SignInRefusal(TypedDict):
    # KSeF's refusal of the sign-in.
    code: int | None
    text: str
    message: str


class SignerChoice(TypedDict):
    # Who will sign.
    signer: SignerKind


SignerKind = Literal["person", "seal", "representative"]


Source = Literal[
    "ksef_limits",
    "ksef_certificates",
    "ksef_permissions",
    "our_record",
    "vault",
    "taxpayer_app",
    "certificate_app",
    "api_is_silent",
    "token_regulation",
]


Standing = Literal["ahead", "now", "done", "stopped"]


class Step(TypedDict):
    # One step of the road of an order.
    kind: StepKind
    standing: Standing
    type: CertificateType | None
    in_doubt: bool


StepKind = Literal[
    "limits", "keys", "request", "issue", "keep", "prove", "lacking", "grant", "let_in", "revoke", "freed"
]


class Subject(TypedDict):
    # Who signs in.
    type: SubjectType
    value: str


class SubjectLimits(TypedDict):
    # Both limits, and whose they are.
    subject: Subject
    context: Company
    limits: Limits


SubjectType = Literal["Nip", "Pesel", "Fingerprint"]


class Tally(TypedDict):
    # How many lines there are of each kind.
    good: int
    bad: int
    invited: int
    awaited: int
    skipped: int


Task = Literal[
    "use_what_is_here",
    "order_the_missing_half",
    "confirm_the_grant",
    "connect_by_the_grant",
    "ask_who_may_grant",
    "set_the_operator",
    "bring_key_and_password",
    "choose_and_confirm",
    "make_a_token",
    "come_back",
    "ask_the_ministry",
]


class UnderWay(TypedDict):
    # A grant or a revocation that goes on.
    act: Act
    since: str


class VaultCertificate(TypedDict):
    # A certificate whose key is here, and whose it is.
    type: CertificateType
    serial: str
    name: str
    valid_from: str
    valid_to: str
    key_at: KeyPlace
    verified: bool
    subject: Subject
    origin: Origin
    revoked_at: str | None
    programs: list[str]


class VaultCertificateDetail(TypedDict):
    # With the certificate itself.
    type: CertificateType
    serial: str
    name: str
    valid_from: str
    valid_to: str
    key_at: KeyPlace
    verified: bool
    subject: Subject
    origin: Origin
    revoked_at: str | None
    programs: list[str]
    pem: str


class Verification(TypedDict):
    # What a real sign-in has found.
    context: Company
    connection: BareConnection
    health_before: Health
    permissions: list[str] | None
    missing: list[Permission]
    refused: SignInRefusal | None


WaitKind = Literal[
    "processing",
    "unsettled",
    "paced",
    "ksef_unavailable",
    "wrong_certificate",
    "needs_signature",
    "pkcs11_away",
    "pkcs11_refuses",
    "limits",
]


class Webhook(TypedDict):
    # An address that is told of events.
    id: str
    url: str
    types: list[str]
    nip: str | None
    created_at: str
    disabled_at: str | None
    disabled_because: Disabled | None
    failing_since: str | None


class WebhookChange(TypedDict):
    # Off: what waits is dropped.
    disabled: bool


class WebhookList(TypedDict):
    # All webhooks; there are 50 at most.
    items: list[Webhook]


klucznik__domain__letters__DeliveryState = Literal["waiting", "sent", "failed"]


klucznik__domain__webhooks__DeliveryState = Literal["waiting", "delivered", "given_up", "dropped"]


class Client:
    """The API of one installation.

    Args:
        url: where it is, for example ``https://klucznik.example.pl``.
        key: a key of the API, ``klk_…``.
        language: of the words, ``pl`` or ``en``.
        wait_s: how long to wait for an answer.
    """

    def __init__(self, url: str, key: str, *, language: str = "pl", wait_s: float = 90) -> None:
        headers = {"authorization": f"Bearer {key}", "accept-language": language}
        self._http = httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=wait_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        headers: dict[str, str | None] | None = None,
        body: object = None,
    ) -> Any:
        answer = self._http.request(
            method,
            path,
            params={name: value for name, value in (query or {}).items() if value is not None},
            headers={name: value for name, value in (headers or {}).items() if value is not None},
            json=body,
        )
        if answer.is_error:
            raise Refused(answer.json())
        return answer.json() if answer.content else None

    def list_connections(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        q: str | None = None,
        method: Method | None = None,
        health: Health | None = None,
        attention: bool | None = None,
        order: Order | None = None,
    ) -> ConnectionPage:
        """List connections. Connections, a page at a time."""
        return cast(
            "ConnectionPage",
            self._ask(
                "GET",
                "/connections",
                query={
                    "limit": limit,
                    "after": after,
                    "q": q,
                    "method": method,
                    "health": health,
                    "attention": attention,
                    "order": order,
                },
            ),
        )

    def get_connection(self, nip: str, *, if_none_match: str | None = None) -> ConnectionDetail:
        """Look at a connection. A connection in full, with an `ETag` for changes."""
        return cast(
            "ConnectionDetail", self._ask("GET", f"/connections/{nip}", headers={"if-none-match": if_none_match})
        )

    def change_connection(self, nip: str, body: ConnectionChange, *, if_match: str | None = None) -> ConnectionDetail:
        """Change a connection. Its name, and whether a renewal revokes what it replaces."""
        return cast(
            "ConnectionDetail", self._ask("PATCH", f"/connections/{nip}", headers={"if-match": if_match}, body=body)
        )

    def forget_connection(self, nip: str, *, if_match: str | None = None) -> None:
        """Forget a connection. Forgets the connection and its token."""
        self._ask("DELETE", f"/connections/{nip}", headers={"if-match": if_match})

    def verify_connection(self, nip: str) -> Verification:
        """Prove a connection. Proves it by a real sign-in to KSeF and remembers what was found."""
        return cast("Verification", self._ask("POST", f"/connections/{nip}/verification"))

    def get_limits(self, nip: str) -> SubjectLimits:
        """Ask KSeF for both limits. Signs in to KSeF and asks for both limits of the subject."""
        return cast("SubjectLimits", self._ask("GET", f"/connections/{nip}/limits"))

    def get_listed(self, nip: str) -> ListedCertificates:
        """Ask KSeF for the subject's certificates. Signs in to KSeF and lists all certificates of the
        subject, in all its companies."""
        return cast("ListedCertificates", self._ask("GET", f"/connections/{nip}/certificates"))

    def list_certificates(self, *, limit: int | None = None, after: str | None = None) -> CertificatePage:
        """List certificates here. Certificates whose keys are here, by serial number, a page at a time."""
        return cast("CertificatePage", self._ask("GET", "/certificates", query={"limit": limit, "after": after}))

    def get_certificate(self, serial: str) -> VaultCertificateDetail:
        """Look at a certificate here. A certificate whose key is here, with the certificate itself as PEM."""
        return cast("VaultCertificateDetail", self._ask("GET", f"/certificates/{serial}"))

    def revoke_certificate(self, serial: str, body: NewRevocation, *, idempotency_key: str | None = None) -> Revocation:
        """Revoke a certificate for good. Final."""
        return cast(
            "Revocation",
            self._ask(
                "POST",
                f"/certificates/{serial}/revocation",
                headers={"idempotency-key": idempotency_key or str(uuid.uuid4())},
                body=body,
            ),
        )

    def look_ahead(self, nip: str, *, another_pair: bool | None = None) -> Preflight:
        """Ask KSeF whether a pair can be issued. Both limits and the decision on them, with the ways out of a
        refusal."""
        return cast(
            "Preflight", self._ask("GET", f"/connections/{nip}/preflight", query={"another_pair": another_pair})
        )

    def order_issuance(
        self, body: NewIssuance, *, prefer: str | None = None, idempotency_key: str | None = None
    ) -> Ordered:
        """Order what is missing of a pair. Signs in with what the connection holds, and leaves the order to
        the workers."""
        return cast(
            "Ordered",
            self._ask(
                "POST",
                "/issuances",
                headers={"prefer": prefer, "idempotency-key": idempotency_key or str(uuid.uuid4())},
                body=body,
            ),
        )

    def list_issuances(
        self, *, limit: int | None = None, after: str | None = None, running: bool | None = None, nip: str | None = None
    ) -> IssuancePage:
        """List issuances. Issuances, the newest first, a page at a time."""
        return cast(
            "IssuancePage",
            self._ask("GET", "/issuances", query={"limit": limit, "after": after, "running": running, "nip": nip}),
        )

    def get_issuance(self, issuance: str) -> IssuanceDetail:
        """Look at an issuance. Where it is, what it waits for and until when, what has been spent on it, and
        what has come of it."""
        return cast("IssuanceDetail", self._ask("GET", f"/issuances/{issuance}"))

    def get_remedies(self, issuance: str) -> Preflight:
        """Ask for the ways out of a refusal. The refusal as it stands now, with its evidence: signs in to
        KSeF and looks again, for dates and slots move on."""
        return cast("Preflight", self._ask("GET", f"/issuances/{issuance}/remedies"))

    def cancel_issuance(self, issuance: str) -> Cancelled:
        """Call an issuance off. Nothing more is filed."""
        return cast("Cancelled", self._ask("POST", f"/issuances/{issuance}/cancellation"))

    def renew(self, body: NewRenewal, *, idempotency_key: str | None = None) -> Renewals:
        """Renew what is due. Orders it now, as the workers do by themselves when it is due."""
        return cast(
            "Renewals",
            self._ask(
                "POST", "/renewals", headers={"idempotency-key": idempotency_key or str(uuid.uuid4())}, body=body
            ),
        )

    def list_onboardings(self, *, limit: int | None = None, after: str | None = None) -> OnboardingPage:
        """List onboardings. Those that this key has begun and that have not ended, the latest changed first,
        a page at a time."""
        return cast("OnboardingPage", self._ask("GET", "/onboardings", query={"limit": limit, "after": after}))

    def begin_onboarding(self, body: NewOnboarding, *, idempotency_key: str | None = None) -> Onboarding:
        """Begin an onboarding. Sets a company on its way."""
        return cast(
            "Onboarding",
            self._ask(
                "POST", "/onboardings", headers={"idempotency-key": idempotency_key or str(uuid.uuid4())}, body=body
            ),
        )

    def get_onboarding(self, onboarding: str) -> Onboarding:
        """Look at an onboarding. At which step it is; a refusal with all of its evidence."""
        return cast("Onboarding", self._ask("GET", f"/onboardings/{onboarding}"))

    def give_up(self, onboarding: str) -> Onboarding:
        """Give up. Nothing more is filed; what was filed is finished and kept."""
        return cast("Onboarding", self._ask("DELETE", f"/onboardings/{onboarding}"))

    def choose_signer(self, onboarding: str, body: SignerChoice) -> Onboarding:
        """Say who will sign. May be said anew while nothing was spent; whoever has signed is signed out
        then."""
        return cast("Onboarding", self._ask("PUT", f"/onboardings/{onboarding}/signer", body=body))

    def choose_method(self, onboarding: str, body: MethodChoice) -> Onboarding:
        """Choose the method. May be chosen anew while nothing was spent, also after a refusal; whoever has
        signed stays signed in."""
        return cast("Onboarding", self._ask("PUT", f"/onboardings/{onboarding}/method", body=body))

    def ask_for_document(self, onboarding: str, *, anew: bool | None = None) -> Document:
        """Ask for a document. The document to sign and its deadline: the one that waits, or a fresh one that
        lasts ten minutes."""
        return cast("Document", self._ask("POST", f"/onboardings/{onboarding}/document", query={"anew": anew}))

    def look_at_limits(self, onboarding: str, *, anew: bool | None = None) -> Look:
        """Look at the limits. Both limits of who has signed, and what follows: go, or the refusal with its
        ways out."""
        return cast("Look", self._ask("POST", f"/onboardings/{onboarding}/preflight", query={"anew": anew}))

    def confirm_onboarding(self, onboarding: str, body: Confirmation) -> Onboarding:
        """Order what is missing. Asks KSeF for both limits once more and orders; a worker does the rest."""
        return cast("Onboarding", self._ask("POST", f"/onboardings/{onboarding}/confirmation", body=body))

    def follow_onboarding(self, onboarding: str) -> Progress:
        """How far it is. The road of the order as steps, from rows alone."""
        return cast("Progress", self._ask("GET", f"/onboardings/{onboarding}/progress"))

    def wait_for_limits(self, onboarding: str, body: Confirmation) -> Onboarding:
        """Out of a refusal: wait for the limits. Orders all the same; the order waits for up to 60 days until
        the limits leave room."""
        return cast("Onboarding", self._ask("POST", f"/onboardings/{onboarding}/remedies/wait", body=body))

    def proposed_grant(self, onboarding: str, *, delegable: bool | None = None) -> ProposedGrant:
        """What would be granted. To whom, and which permissions are lacking."""
        return cast(
            "ProposedGrant",
            self._ask("GET", f"/onboardings/{onboarding}/remedies/grant", query={"delegable": delegable}),
        )

    def grant_permission(self, onboarding: str, body: GrantOrder) -> ConnectedByGrant | Onboarding:
        """Let the operator in. Grants in the session of who has signed, and proves it; the company is
        connected by that."""
        return cast(
            "ConnectedByGrant | Onboarding", self._ask("POST", f"/onboardings/{onboarding}/remedies/grant", body=body)
        )

    def revoke_from_refusal(self, onboarding: str, body: RevocationOrder) -> RevokedForRoom | Onboarding:
        """Out of a refusal: revoke certificates. Revokes, for good, certificates that the refusal names, then
        looks at the limits anew; a confirmation orders."""
        return cast(
            "RevokedForRoom | Onboarding", self._ask("POST", f"/onboardings/{onboarding}/remedies/revoke", body=body)
        )

    def connect_permission(self, onboarding: str) -> ConnectedByGrant:
        """Connect by a permission that was granted elsewhere. For a company that grants in the Ministry's
        application; its connection awaits the grant."""
        return cast("ConnectedByGrant", self._ask("POST", f"/onboardings/{onboarding}/permission"))

    def connect_token(self, onboarding: str, body: BroughtToken) -> Onboarding:
        """Connect by a KSeF token. The token is tried by a sign-in, then sealed here."""
        return cast("Onboarding", self._ask("POST", f"/onboardings/{onboarding}/token", body=body))

    def get_operator(self) -> OperatorStatus:
        """Who the operator is. To whom a company grants the permission in KSeF that lets us act for it
        without certificates of its own."""
        return cast("OperatorStatus", self._ask("GET", "/operator"))

    def list_invitations(
        self, *, limit: int | None = None, after: str | None = None, state: InvitationState | None = None
    ) -> InvitationPage:
        """List invitations. Those that this key has made, the newest first, a page at a time."""
        return cast(
            "InvitationPage", self._ask("GET", "/invitations", query={"limit": limit, "after": after, "state": state})
        )

    def invite(self, body: NewInvitation, *, idempotency_key: str | None = None) -> Invited:
        """Invite a company. The link is in this answer and in no other; with `send` it goes to the company
        alone, by a letter."""
        return cast(
            "Invited",
            self._ask(
                "POST", "/invitations", headers={"idempotency-key": idempotency_key or str(uuid.uuid4())}, body=body
            ),
        )

    def get_invitation(self, invitation_id: str) -> Invitation:
        """Look at an invitation. How far the company has come."""
        return cast("Invitation", self._ask("GET", f"/invitations/{invitation_id}"))

    def revoke_invitation(self, invitation_id: str) -> None:
        """Take an invitation back. Its link and the browsers it has opened lead nowhere any more."""
        self._ask("DELETE", f"/invitations/{invitation_id}")

    def renew_invitation_link(self, invitation_id: str) -> Invited:
        """Give an invitation another link. The link before and the browsers it has opened lead nowhere any
        more."""
        return cast("Invited", self._ask("POST", f"/invitations/{invitation_id}/link"))

    def send_invitation(self, invitation_id: str, body: SendInvitation) -> Invitation:
        """Send an invitation by e-mail. Another link goes to the company, and to nobody else, perhaps to
        another address."""
        return cast("Invitation", self._ask("POST", f"/invitations/{invitation_id}/send", body=body))

    def list_imports(self, *, limit: int | None = None, after: str | None = None) -> ImportPage:
        """List lists of companies. Those that this key has brought, the newest first, a page at a time."""
        return cast("ImportPage", self._ask("GET", "/imports", query={"limit": limit, "after": after}))

    def bring_list(self, body: NewImport, *, idempotency_key: str | None = None) -> CountedImport:
        """Read a list. Keeps the list to be looked at; nothing is done with its companies yet."""
        return cast(
            "CountedImport",
            self._ask("POST", "/imports", headers={"idempotency-key": idempotency_key or str(uuid.uuid4())}, body=body),
        )

    def get_import(self, import_id: str) -> CountedImport:
        """Look at a list. How far its lines have come."""
        return cast("CountedImport", self._ask("GET", f"/imports/{import_id}"))

    def discard_import(self, import_id: str) -> None:
        """Forget a list. What it has made stays."""
        self._ask("DELETE", f"/imports/{import_id}")

    def list_import_lines(
        self, import_id: str, *, limit: int | None = None, after: str | None = None, bad: bool | None = None
    ) -> LinePage:
        """Look at its lines. Each line with what is wrong with it, or what has become of it, a page at a
        time."""
        return cast(
            "LinePage",
            self._ask("GET", f"/imports/{import_id}/lines", query={"limit": limit, "after": after, "bad": bad}),
        )

    def carry_import_out(self, import_id: str, body: CarryOut | None) -> CountedImport:
        """Carry a list out. Invites every company whose line is good."""
        return cast("CountedImport", self._ask("POST", f"/imports/{import_id}/execution", body=body))

    def make_import_links(self, import_id: str) -> Links:
        """Make its links. A link for each company that it has invited and that has opened none yet, nor got
        one by a letter."""
        return cast("Links", self._ask("POST", f"/imports/{import_id}/links"))

    def list_events(
        self, *, after: str | None = None, limit: int | None = None, type_: list[Kind] | None = None
    ) -> EventPage:
        """List events. Events after one that is known, in the order in which they are told; the last 90 days
        are kept."""
        return cast("EventPage", self._ask("GET", "/events", query={"after": after, "limit": limit, "type": type_}))

    def list_webhooks(self) -> WebhookList:
        """List webhooks. All webhooks, the oldest first; there are 50 at most."""
        return cast("WebhookList", self._ask("GET", "/webhooks"))

    def make_webhook(self, body: NewWebhook, *, idempotency_key: str | None = None) -> OpenedWebhook:
        """Make a webhook. It is told of everything from now on."""
        return cast(
            "OpenedWebhook",
            self._ask(
                "POST", "/webhooks", headers={"idempotency-key": idempotency_key or str(uuid.uuid4())}, body=body
            ),
        )

    def get_webhook(self, webhook_id: str) -> Webhook:
        """Look at a webhook. Whether it is on, and since when it fails."""
        return cast("Webhook", self._ask("GET", f"/webhooks/{webhook_id}"))

    def change_webhook(self, webhook_id: str, body: WebhookChange) -> Webhook:
        """Switch a webhook off or on. Off: what waits is dropped."""
        return cast("Webhook", self._ask("PATCH", f"/webhooks/{webhook_id}", body=body))

    def remove_webhook(self, webhook_id: str) -> None:
        """Remove a webhook. Forgets it with its secret and its deliveries."""
        self._ask("DELETE", f"/webhooks/{webhook_id}")

    def rotate_secret(self, webhook_id: str) -> OpenedWebhook:
        """Give a webhook a new secret. For a day deliveries are signed with the one before as well."""
        return cast("OpenedWebhook", self._ask("POST", f"/webhooks/{webhook_id}/secret"))

    def test_webhook(self, webhook_id: str) -> None:
        """Send a webhook a test event. Sends `webhook.test`, to this webhook alone."""
        self._ask("POST", f"/webhooks/{webhook_id}/test")

    def list_deliveries(self, webhook_id: str, *, after: str | None = None) -> DeliveryPage:
        """List deliveries. What was sent, what waits and what came of it, the newest first, a page at a
        time."""
        return cast("DeliveryPage", self._ask("GET", f"/webhooks/{webhook_id}/deliveries", query={"after": after}))

    def replay_delivery(self, webhook_id: str, delivery_id: str) -> Any:
        """Send a delivery once more. With the `webhook-id` it has: a receiver that has it already may drop
        it."""
        return cast("Any", self._ask("POST", f"/webhooks/{webhook_id}/deliveries/{delivery_id}/replay"))

    def replay_since(self, webhook_id: str, body: Replay) -> Replayed:
        """Send everything since an event once more. Every event from that one on that the webhook is meant to
        know, delivered or not, with the ids they have."""
        return cast("Replayed", self._ask("POST", f"/webhooks/{webhook_id}/replay", body=body))

    def list_audit(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        nip: str | None = None,
        event: Literal[
            "issuance_ordered",
            "login_replaced",
            "signed_elsewhere",
            "lease_taken_over",
            "preflight_passed",
            "preflight_refused",
            "request_intended",
            "request_not_sent",
            "request_filed",
            "answer_lost",
            "status_gone",
            "reconciled_adopted",
            "reconciled_never_arrived",
            "reconciled_given_up",
            "request_rejected",
            "certificate_issued",
            "certificate_retrieved",
            "certificates_proved",
            "waiting",
            "issuance_cancelled",
            "issuance_ended",
            "certificate_revoked",
            "sessions_ended",
            "certificate_imported",
            "hook_ended",
            "key_exported",
            "operator_set",
            "permission_grant_intended",
            "permission_granted",
            "permission_grant_refused",
            "permission_withdrawn",
            "connection_by_permission",
            "connection_health_changed",
            "data_key_made",
            "backup_written",
            "state_restored",
            "restored_subject_checked",
            "connection_made",
            "connection_changed",
            "connection_removed",
            "user_added",
            "user_changed",
            "password_set",
            "account_link_made",
            "signed_in_here",
            "sign_ins_failed",
            "browsers_signed_out",
            "second_factor_changed",
            "api_key_made",
            "api_key_rotated",
            "api_key_revoked",
            "onboarding_begun",
            "onboarding_signed_in",
            "onboarding_left",
            "onboarding_ended",
            "webhook_made",
            "webhook_changed",
            "webhook_disabled",
            "webhook_removed",
            "deliveries_replayed",
            "invitation_made",
            "invitation_opened",
            "invitation_renewed",
            "invitation_other_device",
            "invitation_revoked",
            "import_links_made",
        ]
        | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AuditPage:
        """List the audit log. What was done, by whom and when: the newest first, a page at a time."""
        return cast(
            "AuditPage",
            self._ask(
                "GET",
                "/audit",
                query={"limit": limit, "after": after, "nip": nip, "event": event, "since": since, "until": until},
            ),
        )
