"""The faults in the management face: what is in force, what was done, and changing both (`faults/in_force.py`).
The management face itself is never disturbed.
"""

from dataclasses import asdict
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, StrictInt

from ksef_sandbox.answers import empty_answer, json_answer
from ksef_sandbox.faults.in_force import Fault
from ksef_sandbox.faults.rules import FaultError, Rule, check
from ksef_sandbox.management.problems import problem
from ksef_sandbox.routes.all import OPERATIONS
from ksef_sandbox.state import World
from ksef_sandbox.wire import JsonValue, timestamp


class ProfileInput(BaseModel):
    """Begins a new run; without a seed the present one stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: Literal["none", "mild", "hostile"]
    seed: StrictInt | None = None


def install(router: APIRouter, world: World) -> None:
    """Add the routes under /faults."""

    @router.get("/faults")
    async def read(last: Annotated[int, Query(ge=0)] = 200) -> Response:
        return json_answer(_shown(world, last))

    @router.put("/faults/profile")
    async def choose(body: ProfileInput) -> Response:
        world.faults.set_profile(body.profile, body.seed)
        return json_answer(_shown(world, 0))

    @router.post("/faults/rules")
    async def add(body: Rule) -> Response:
        try:
            check(body, OPERATIONS)
        except FaultError as error:
            return problem(400, str(error))
        return json_answer(_rule(world.faults.add(body), body, 0, of_profile=False), 201)

    @router.delete("/faults/rules/{rule_id}")
    async def remove(rule_id: str) -> Response:
        if not world.faults.remove(rule_id):
            return problem(404, f"There is no single rule {rule_id!r}.")
        return empty_answer(204)

    @router.delete("/faults/rules")
    async def remove_all() -> Response:
        world.faults.remove_all()
        return empty_answer(204)


def _shown(world: World, last: int) -> JsonValue:
    faults = world.faults
    rules = [_rule(id, rule, hits, of_profile=of_profile) for id, rule, hits, of_profile in faults.rules()]
    log = list(faults.log)
    shown: list[JsonValue] = [_fault(fault) for fault in log[max(0, len(log) - last) :]]
    return {"profile": world.switches.fault_injection, "seed": faults.seed, "rules": rules, "log": shown}


def _rule(id: str, rule: Rule, hits: int, *, of_profile: bool) -> JsonValue:
    return {"id": id, "source": "profile" if of_profile else "single", **asdict(rule), "hits": hits}


def _fault(fault: Fault) -> JsonValue:
    return {
        "number": fault.number,
        "at": timestamp(fault.at),
        "route": fault.route,
        "client": fault.client,
        "identity": asdict(fault.identity) if fault.identity else None,
        "rule": fault.rule,
        "act": fault.act,
        "call": fault.call,
    }
