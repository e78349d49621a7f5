"""Who may enter which company, after any course of grants, links and revocations: the sandbox against a naive model."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ksef_sandbox import permissions, rights, testdata
from ksef_sandbox.identity import ContextIdentifier, ContextType, Identity, IdentityType
from ksef_sandbox.permission_records import GrantKind
from ksef_sandbox.permissions import GrantOrder
from ksef_sandbox.records import SignIn, SignInMethod
from ksef_sandbox.sign_in import SUCCESS
from ksef_sandbox.state import World

COMPANIES = ("1111111111", "5265877635", "7762811692")
PESELS = ("80010112345", "90010112345")
PERMISSIONS = ("InvoiceRead", "InvoiceWrite")
IDENTITIES = [
    *(Identity(IdentityType.NIP, nip) for nip in COMPANIES),
    *(Identity(IdentityType.PESEL, pesel) for pesel in PESELS),
    Identity(IdentityType.FINGERPRINT, "A" * 64),
]
company, permission = st.sampled_from(COMPANIES), st.sampled_from(PERMISSIONS)
identity = st.sampled_from(IDENTITIES)


def context(nip: str) -> ContextIdentifier:
    return ContextIdentifier(ContextType.NIP, nip)


@dataclass
class Model:
    """The rules in the words of the documentation, without any economy."""

    links: dict[str, str] = field(default_factory=dict)  # NIP: PESEL
    persons: set[tuple[str, Identity, str]] = field(default_factory=set)  # context, whom, permission
    entities: set[tuple[str, str, str, bool]] = field(default_factory=set)  # context, NIP, permission, may delegate
    indirect: set[tuple[str, str | None, Identity, str]] = field(default_factory=set)  # by, client or all, whom, what

    def permissions(self, who: Identity, nip: str) -> set[str]:
        if who == Identity(IdentityType.NIP, nip) or who == Identity(IdentityType.PESEL, self.links.get(nip, "")):
            return {"Owner"}
        direct = {what for where, whom, what in self.persons if (where, whom) == (nip, who)}
        as_entity = {
            what for where, whom, what, _ in self.entities if where == nip and who == Identity(IdentityType.NIP, whom)
        }
        through = {
            what
            for by, client, whom, what in self.indirect
            if whom == who and client in (nip, None) and (nip, by, what, True) in self.entities
        }
        return direct | as_entity | through

    def remove_person(self, nip: str) -> None:
        if self.links.pop(nip, None) is not None:
            self.persons = {entry for entry in self.persons if entry[0] != nip}
            self.entities = {entry for entry in self.entities if entry[0] != nip}
            self.indirect = {entry for entry in self.indirect if entry[1] != nip}


class RightsMachine(RuleBasedStateMachine):
    """Does the same to both and compares all of it after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.world, self.model = World(seed=1), Model()
        self.world.switches.perm_delay_ms = 0
        self.now = datetime(2026, 3, 1, tzinfo=UTC)

    def owner(self, nip: str) -> SignIn:
        self.now += timedelta(seconds=1)
        return SignIn(
            reference="owner",
            identity=Identity(IdentityType.NIP, nip),
            holder=None,
            context=context(nip),
            method=SignInMethod.QUALIFIED_SEAL,
            started_at=self.now,
            ready_at=self.now,
            outcome=SUCCESS,
        )

    def grant(self, by: str, kind: GrantKind, whom: Identity, where: str | None, what: str, *, delegate: bool) -> bool:
        place = None if where is None else context(where)
        order = GrantOrder(kind, whom, place, ((what, delegate),), "Uprawnienie testowe")
        operation = permissions.grant(self.world, self.owner(by), order, self.now)
        return operation.outcome is permissions.SUCCESS

    @rule(nip=company, pesel=st.sampled_from(PESELS))
    def link(self, nip: str, pesel: str) -> None:
        if nip not in self.model.links:
            testdata.add_person(self.world, testdata.NewPerson(nip, pesel, "Osoba testowa"), self.now)
            self.model.links[nip] = pesel

    @rule(nip=company)
    def remove_person(self, nip: str) -> None:
        testdata.remove_person(self.world, nip)
        self.model.remove_person(nip)

    @rule(where=company, whom=identity, what=permission)
    def grant_to_a_person(self, where: str, whom: Identity, what: str) -> None:
        assert self.grant(where, GrantKind.PERSON, whom, where, what, delegate=False)
        self.model.persons.add((where, whom, what))

    @rule(where=company, whom=company, what=permission, delegate=st.booleans())
    def grant_to_a_company(self, where: str, whom: str, what: str, delegate: bool) -> None:
        subject = Identity(IdentityType.NIP, whom)
        assert self.grant(where, GrantKind.ENTITY, subject, where, what, delegate=delegate) == (where != whom)
        if where != whom:
            self.model.entities.add((where, whom, what, delegate))

    @rule(by=company, client=st.sampled_from([*COMPANIES, None]), whom=identity, what=permission)
    def pass_on(self, by: str, client: str | None, whom: Identity, what: str) -> None:
        possible = client is None or any((c, b, d) == (client, by, True) for c, b, _, d in self.model.entities)
        assert self.grant(by, GrantKind.INDIRECT, whom, client, what, delegate=False) == possible
        if possible:
            self.model.indirect.add((by, client, whom, what))

    @precondition(lambda self: self.model.persons or self.model.entities or self.model.indirect)
    @rule(number=st.integers(0, 1000))
    def revoke(self, number: int) -> None:
        live = sorted((g for g in self.world.grants if g.is_live(self.now)), key=lambda g: g.id)
        found = live[number % len(live)]
        operation = permissions.revoke(self.world, self.owner(found.granted_in.value), found.id, self.now)
        assert operation.outcome is permissions.SUCCESS
        client = found.context.value if found.context else None
        if found.kind is GrantKind.PERSON:
            self.model.persons.remove((found.granted_in.value, found.subject, found.permission))
        elif found.kind is GrantKind.ENTITY:
            self.model.entities.remove(
                (found.granted_in.value, found.subject.value, found.permission, found.can_delegate)
            )
        else:
            self.model.indirect.remove((found.granted_in.value, client, found.subject, found.permission))

    @invariant()
    def both_let_in_the_same_with_the_same_rights(self) -> None:
        for who in IDENTITIES:
            for nip in COMPANIES:
                found = rights.permissions(self.world, who, context(nip), self.now)
                assert found == self.model.permissions(who, nip), (who, nip)


RightsMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRights = RightsMachine.TestCase
