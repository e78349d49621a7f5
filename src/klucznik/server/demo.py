"""The world of `klucznik serve --demo`: an office, its companies in different states, and the people who sign for them.

All invented, with valid checksums. What stands in for the trusted profile is here too: keys that the local KSeF
believes, and nothing else in the world does.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from lxml.etree import XMLSyntaxError

from klucznik.clock import SystemClock
from klucznik.domain.accounts import User
from klucznik.domain.connections import Method
from klucznik.domain.environments import Environment
from klucznik.domain.identifiers import Context, Subject, SubjectType
from klucznik.domain.onboarding import SignerKind
from klucznik.domain.roles import Principal
from klucznik.errors import InputError
from klucznik.keys.credential import Credential, load_credential
from klucznik.keys.safe_files import write_files
from klucznik.keys.test_credential import CredentialFiles, write_test_credential
from klucznik.ksef.xades import sign_document
from klucznik.server.local_ksef import QUICK, LocalKsef
from klucznik.services import onboarding
from klucznik.services.accounts.account_links import make_setup_link
from klucznik.services.accounts.passwords import set_up
from klucznik.services.engine import Engine
from klucznik.services.installation import Installation
from klucznik.services.issue import issue
from klucznik.services.operator import set_operator
from klucznik.storage import operators, users

SANDBOX_FILE = "sandbox.db"
_KEYS = "signatures"


@dataclass(frozen=True)
class Company:
    """A company of the demo, and the person who signs for it."""

    nip: str
    name: str
    pesel: str
    owner: str

    @property
    def subject(self) -> Subject:
        return Subject(SubjectType.PESEL, self.pesel)


HEALTHY = Company("5265877635", "Piekarnia Kłos Maria Zielińska", "80010112340", "Maria Zielińska")
NEAR_LIMITS = Company("1132145670", "Stolarnia Dąb Jan Kowalczyk", "79092314575", "Jan Kowalczyk")
REFUSED = Company("7762811692", "Studio Graficzne Barwa Ewa Wiśniewska", "91120808465", "Ewa Wiśniewska")
FREE = Company("6762451885", "Kwiaciarnia Fiołek Anna Nowak", "88031506247", "Anna Nowak")
COMPANIES = (HEALTHY, NEAR_LIMITS, REFUSED, FREE)

_OFFICE = ("8567346215", "Biuro Rachunkowe Lipiec sp. z o.o.")
EMAIL, _NAME = "katarzyna@lipiec.example", "Katarzyna Lipiec"
_KEPT_FOR_NEXT_TIME = "demo-sign-in"


@dataclass(frozen=True)
class Signers:
    """Signs as anybody, as gov.pl does once somebody has signed in there.

    Args:
        directory: where their keys lie as files, to be brought to the wizard by hand.
    """

    directory: Path
    _known: dict[Subject, Credential] = field(default_factory=dict, init=False, repr=False)

    def files(self, subject: Subject) -> CredentialFiles:
        """Certificate and key, made where there are none."""
        place = self.directory / f"{subject.type.value.lower()}-{subject.value}"
        there = CredentialFiles(place / "credential.crt", place / "credential.key")
        if there.key_file.exists():
            return there
        return write_test_credential(place, subject, now=SystemClock().now())

    def credential(self, subject: Subject) -> Credential:
        if subject not in self._known:
            files = self.files(subject)
            self._known[subject] = load_credential(
                cert=files.certificate_file, key=files.key_file, password=None, now=SystemClock().now()
            )
        return self._known[subject]

    def signer_for(self, nip: str, kind: SignerKind | None) -> Subject:
        """Who signs for a company: its owner where the demo knows one; otherwise its seal."""
        owner = next((company.subject for company in COMPANIES if company.nip == nip), None)
        return Subject(SubjectType.NIP, nip) if owner is None or kind is SignerKind.SEAL else owner

    def sign(self, document: bytes, subject: Subject) -> bytes:
        """The document with the signature in it; raises InputError ``demo_document_malformed``."""
        mine = self.credential(subject)
        try:
            return sign_document(document, mine.certificate, mine.private_key, now=SystemClock().now())
        except XMLSyntaxError:
            raise InputError("demo_document_malformed") from None


@dataclass(frozen=True)
class Demo:
    """What is to be told to whoever has started it.

    Attributes:
        email, password: of the administrator.
        entry: what opens the demo without a password, while it runs.
    """

    signers: Signers
    email: str
    password: str = field(repr=False)
    entry: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)


async def prepare(klucznik: Installation, ksef: LocalKsef) -> Demo:
    """Make what is not there yet; a home that was used before goes on as it was left."""
    signers = Signers(klucznik.home / _KEYS)
    administrator, password = await _administrator(klucznik)
    if await klucznik.database.read(lambda transaction: operators.load(transaction, klucznik.environment)) is None:
        slow = {name: ksef.switches[name] for name in QUICK}
        ksef.set(**QUICK)
        await _fill(klucznik, ksef, signers, administrator.principal)
        ksef.set(**slow)
    return Demo(signers, EMAIL, password)


async def _administrator(klucznik: Installation) -> tuple[User, str]:
    """Who runs the demo, and with what password; it lies in the home, so that the demo can be started again."""
    file = klucznik.home / _KEPT_FOR_NEXT_TIME
    link = await make_setup_link(klucznik)
    if link is not None:
        password = secrets.token_urlsafe(9)
        await set_up(klucznik, link, email=EMAIL, name=_NAME, password=password)
        write_files({file: password.encode()}, overwrite=True)
    user = await klucznik.database.read(lambda transaction: users.by_email(transaction, EMAIL))
    if user is None or not file.exists():
        raise InputError("demo_home_in_use", home=str(klucznik.home))
    return user, file.read_text()


async def _fill(klucznik: Installation, ksef: LocalKsef, signers: Signers, by: Principal) -> None:
    for company in COMPANIES:
        ksef.link_person(nip=company.nip, pesel=company.pesel)
    ksef.set_limits("Pesel", NEAR_LIMITS.pesel, enrollment=4, certificate=4)
    ksef.set_limits("Pesel", REFUSED.pesel, enrollment=3, certificate=6)
    nip, name = _OFFICE
    await set_operator(klucznik, nip, name, signers.credential(Subject(SubjectType.NIP, nip)))
    await asyncio.gather(
        _connected(klucznik, HEALTHY, signers, by),
        _connected(klucznik, NEAR_LIMITS, signers, by),
        _refused(klucznik, ksef, signers, by),
    )
    await Engine(klucznik).run_until_idle()


async def _connected(klucznik: Installation, company: Company, signers: Signers, by: Principal) -> None:
    begun = await _signed_in(klucznik, company, signers, by)
    await onboarding.look(klucznik, begun, by)
    await onboarding.confirm(klucznik, begun, by)


async def _refused(klucznik: Installation, ksef: LocalKsef, signers: Signers, by: Principal) -> None:
    """Another program has used two of three requests; the look finds one left."""
    elsewhere = klucznik.home / "other-program"
    opened = await Installation.open(elsewhere, environment=Environment.SANDBOX, ksef_url=ksef.base_url)
    async with opened as other:
        await issue(other, Context.of_nip(REFUSED.nip), signers.credential(REFUSED.subject))
    await onboarding.look(klucznik, await _signed_in(klucznik, REFUSED, signers, by), by)


async def _signed_in(klucznik: Installation, company: Company, signers: Signers, by: Principal) -> str:
    begun = (await onboarding.begin(klucznik, company.nip, by=by, name=company.name)).id
    await onboarding.choose_signer(klucznik, begun, by, SignerKind.PERSON)
    await onboarding.choose_method(klucznik, begun, by, Method.CERTIFICATES)
    await onboarding.sign_in_with_key(klucznik, begun, by, signers.credential(company.subject))
    return begun
