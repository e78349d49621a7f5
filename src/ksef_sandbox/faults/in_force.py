"""Which fault strikes which request: rules in force, what they have counted, and the log of what they did.
Every decision is a hash of seed, rule, client, operation and the number of the client's call there: neither the time
nor the order in which clients are served has a part in it, so the same seed gives the same run.
"""

import hashlib
import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ksef_sandbox.faults.profiles import PROFILES
from ksef_sandbox.faults.rules import Operation, Rule, Visit
from ksef_sandbox.identity import Identity
from ksef_sandbox.switches import Switches

Profile = Literal["none", "mild", "hostile"]

LOG_CAPACITY = 20_000
# Whoever tries a call three times gets through a profile: that is what makes `hostile` survivable.
MOST_IN_A_ROW = 2

_Key = tuple[str, Operation]  # a client at an operation


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault that was done; `number` is the request's in the request log, `call` counts what the rule matched."""

    number: int
    at: datetime
    route: str
    client: str
    identity: Identity | None
    rule: str
    act: str
    call: int


@dataclass(frozen=True, slots=True)
class Strike:
    """A decision: the rule with this id does its act on this call. `draw` is its own randomness, 16 bytes."""

    id: str
    rule: Rule
    visit: Visit
    call: int
    earlier: int  # how often it has struck this client here before
    draw: bytes


@dataclass(slots=True)
class _Tally:
    """What one rule has counted, by client and operation."""

    calls: dict[_Key, int] = field(default_factory=dict)
    strikes: dict[_Key, int] = field(default_factory=dict)
    hits: int = 0


class Faults:
    """The rules of a sandbox: single ones first, in the order they came, then those of the profile."""

    def __init__(self, switches: Switches, seed: int | None) -> None:
        """Without a seed one is drawn, so that every run can be had again."""
        self._switches = switches
        self._first_seed = secrets.randbelow(2**31) if seed is None else seed
        self.seed = self._first_seed
        self._single: dict[str, Rule] = {}
        self._added = 0
        self._begin()

    def _begin(self) -> None:
        """A new run: every count at zero, the log empty."""
        self._profile: Profile = self._switches.fault_injection
        self._rules = {**self._single, **PROFILES[self._profile]}
        self._tallies = {id: _Tally() for id in self._rules}
        self._in_a_row: dict[_Key, int] = {}
        self.log: deque[Fault] = deque(maxlen=LOG_CAPACITY)

    def _follow_switch(self) -> None:
        if self._switches.fault_injection != self._profile:
            self._begin()

    @property
    def active(self) -> bool:
        """Whether there is any rule at all."""
        self._follow_switch()
        return bool(self._rules)

    def set_profile(self, profile: Profile, seed: int | None = None) -> None:
        """Begin a new run with a profile; None keeps the seed. Single rules stay."""
        self._switches.set("fault_injection", profile)
        self.seed = self.seed if seed is None else seed
        self._begin()

    def add(self, rule: Rule) -> str:
        """Put a single rule in force; it must have been checked. Returns its id."""
        self._follow_switch()
        self._added += 1
        id = f"rule-{self._added}"
        self._single[id] = rule
        self._rules = {**self._single, **PROFILES[self._profile]}
        self._tallies[id] = _Tally()
        return id

    def remove(self, id: str) -> bool:
        """Take a single rule away; False when there is none of that id."""
        if self._single.pop(id, None) is None:
            return False
        del self._rules[id], self._tallies[id]
        return True

    def remove_all(self) -> None:
        """Take away every single rule."""
        for id in list(self._single):
            self.remove(id)

    def reset(self) -> None:
        """Become as after the start; the switch is reset by whoever owns it."""
        self._single.clear()
        self._added = 0
        self.seed = self._first_seed
        self._begin()

    def rules(self) -> list[tuple[str, Rule, int, bool]]:
        """Every rule in force: id, rule, faults done by it, and whether it belongs to the profile."""
        self._follow_switch()
        return [(id, rule, self._tallies[id].hits, id not in self._single) for id, rule in self._rules.items()]

    def choose_steady(self, visit: Visit) -> Strike | None:
        """The first rule whose act holds for every call of this client at this operation."""
        for id, rule in self._rules.items():
            if rule.act.steady and rule.matches(visit):
                strike = self._draw(id, rule, visit, 0)
                if strike is not None:
                    return strike
        return None

    def choose(self, visit: Visit, *, before: bool) -> Strike | None:
        """The first rule that strikes, before the request is applied or once there is an answer; counts the call.

        Call it once for each request and phase, and not after a fault was done to the request.
        """
        key = (visit.client, visit.operation)
        chosen: Strike | None = None
        spared = self._in_a_row.get(key, 0) >= MOST_IN_A_ROW
        for id, rule in self._rules.items():
            if rule.act.steady or rule.act.before is not before or not rule.matches(visit):
                continue
            calls = self._tallies[id].calls
            calls[key] = call = calls.get(key, 0) + 1
            if chosen is None and call > rule.skip and not (spared and id not in self._single):
                chosen = self._draw(id, rule, visit, call)
        if chosen is not None and chosen.id not in self._single:
            self._in_a_row[key] = self._in_a_row.get(key, 0) + 1
        elif not before:
            self._in_a_row.pop(key, None)
        return chosen

    def _draw(self, id: str, rule: Rule, visit: Visit, call: int) -> Strike | None:
        earlier = self._tallies[id].strikes.get((visit.client, visit.operation), 0)
        if rule.times is not None and earlier >= rule.times:
            return None
        decided_by = "\n".join((str(self.seed), id, visit.client, *visit.operation, str(call)))
        draw = hashlib.blake2b(decided_by.encode(), digest_size=24).digest()
        if int.from_bytes(draw[:8]) >= rule.probability * 2**64:
            return None
        return Strike(id, rule, visit, call, earlier, draw[8:])

    def record(self, strike: Strike, number: int, at: datetime) -> None:
        """Count and log a fault that is done."""
        tally = self._tallies.get(strike.id)
        if tally is None:  # its rule was taken away while the request was on its way
            return
        key = (strike.visit.client, strike.visit.operation)
        tally.strikes[key] = tally.strikes.get(key, 0) + 1
        tally.hits += 1
        visit, rule = strike.visit, strike.rule
        self.log.append(
            Fault(number, at, visit.operation[1], visit.client, visit.identity, strike.id, rule.act.name, strike.call)
        )
