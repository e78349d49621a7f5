"""A sandbox inside a Python program: `with Sandbox(...) as ksef:`, in a thread of its own, gone afterwards.
The stable face for tests, demos and integrators; the command line is `cli.py`.
"""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from cryptography import x509

from ksef_sandbox import server, testdata
from ksef_sandbox.app import create_app, default_hooks
from ksef_sandbox.faults.in_force import Fault, Profile
from ksef_sandbox.faults.rules import Rule, check
from ksef_sandbox.identity import Identity, IdentityType
from ksef_sandbox.management import quick_sessions
from ksef_sandbox.requestlog import LoggedRequest
from ksef_sandbox.routes.all import OPERATIONS
from ksef_sandbox.state import World
from ksef_sandbox.switches import Switches, SwitchValue

T = TypeVar("T")


class Sandbox:
    """A KSeF on localhost.

    Args:
        seed: makes every number, key and fault repeat; None takes them from the operating system.
        state: SQLite file to keep everything in; None keeps it in memory.
        switches: first values, see `ksef-sandbox switches`.
        faults: `none`, `mild` or `hostile`, the same as the switch `fault_injection`; None leaves that as it is.
        host, port: where to listen; port 0 takes a free one.

    Raises:
        SwitchError: unknown switch or value. StoreError: unusable state file. AddressError: unusable address.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        state: str | os.PathLike[str] | None = None,
        switches: Mapping[str, SwitchValue] | None = None,
        faults: Profile | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        chosen = Switches()
        chosen.set_all(switches or {})
        if faults is not None:
            chosen.set("fault_injection", faults)
        self._seed, self._state, self._switches = seed, state, chosen
        self._host, self._port = host, port
        self._thread: threading.Thread | None = None

    def start(self) -> "Sandbox":
        """Listen and answer; returns when clients can connect. Starting twice does no harm."""
        if self._thread is not None:
            return self
        listener = server.listen(self._host, self._port)
        try:
            path = None if self._state is None else Path(self._state)
            self._world = World(seed=self._seed, path=path, switches=self._switches)
        except BaseException:
            listener.close()
            raise
        url = server.url_of(listener)
        self.base_url = f"{url}/v2"
        self.management_url = f"{url}/sandbox"
        self._world.ca.crl_url = f"{self.management_url}/ca.crl"
        self._loop = server.new_event_loop()
        self._stop = asyncio.Event()
        ready = threading.Event()
        serving = server.serve(create_app(self._world, default_hooks(self._world)), listener, self._stop, ready.set)
        self._thread = threading.Thread(target=self._run, args=(serving,), name="ksef-sandbox", daemon=True)
        self._thread.start()
        ready.wait()
        return self

    def _run(self, serving: Coroutine[None, None, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serving)

    def close(self) -> None:
        """Stop; requests in progress may finish. Closing twice does no harm."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._loop.call_soon_threadsafe(self._stop.set)
        thread.join()
        self._world.close()

    def __enter__(self) -> "Sandbox":
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, action: Callable[[World], T]) -> T:
        """Run something between two requests: the world belongs to the server's thread."""
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def run() -> None:
            try:
                result = action(self._world)
                self._world.commit()
            except BaseException as error:  # handed to the caller, whatever it is
                done.set_exception(error)
            else:
                done.set_result(result)

        self._loop.call_soon_threadsafe(run)
        return done.result()

    def now(self) -> datetime:
        """The sandbox's present moment, UTC."""
        return self._do(lambda world: world.clock.now())

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move the clock on, or back by a negative time; returns the new present. Raises ClockError."""
        by = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        self._do(lambda world: world.move_clock(world.clock.now() + by))
        return self.now()

    def set_now(self, moment: datetime) -> None:
        """Make a moment (with offset) the present; time runs on from there. Raises ClockError."""
        self._do(lambda world: world.move_clock(moment))

    def requests(self, *, method: str | None = None, path: str | None = None) -> list[LoggedRequest]:
        """The log of /v2, oldest first; `path` is a path or a route of the specification, without /v2."""
        return self._do(lambda world: world.log.find(method, path))

    def clear_requests(self) -> None:
        self._do(lambda world: world.log.clear())

    def reset(self) -> None:
        """Become as after the start; the CA stays."""
        self._do(lambda world: world.reset())

    @property
    def switches(self) -> dict[str, SwitchValue]:
        """Present values by name."""
        return self._do(lambda world: world.switches.as_dict())

    def set(self, **switches: SwitchValue) -> None:
        """Set switches; raises SwitchError and changes nothing when one is wrong."""
        self._do(lambda world: world.switches.set_all(switches))

    def set_limits(
        self, type: str, value: str, *, enrollment: int | None = None, certificate: int | None = None
    ) -> None:
        """Set the maxima of a subject (`Nip`, `Pesel`, `Fingerprint`); what it has used is subtracted from them."""
        identity = Identity(IdentityType(type), value)
        self._do(lambda world: testdata.set_limits(world, identity, enrollment=enrollment, certificate=certificate))

    def link_person(self, *, nip: str, pesel: str, is_deceased: bool = False) -> None:
        """Like POST /testdata/person: the PESEL becomes an owner of the NIP's context."""
        person = testdata.NewPerson(nip=nip, pesel=pesel, description="linked in a test", is_deceased=is_deceased)
        self._do(lambda world: testdata.add_person(world, person, world.clock.now()))

    def add_fault(self, rule: Rule) -> str:
        """Put a rule in force before all others; returns its id. Raises FaultError when it could never strike."""
        check(rule, OPERATIONS)
        return self._do(lambda world: world.faults.add(rule))

    def remove_fault(self, rule_id: str) -> None:
        """Take back what `add_fault` has put in force; KeyError when it is not there."""
        if not self._do(lambda world: world.faults.remove(rule_id)):
            raise KeyError(rule_id)

    def set_faults(self, profile: Profile, *, seed: int | None = None) -> None:
        """Begin a new run with a profile: counts at zero, the log of faults empty. None keeps the seed."""
        self._do(lambda world: world.faults.set_profile(profile, seed))

    @property
    def faults(self) -> list[Fault]:
        """What was done to requests on purpose, oldest first."""
        return self._do(lambda world: list(world.faults.log))

    def access_token(self, *, nip: str, pesel: str | None = None) -> str:
        """An access token without a signature: of a company, or of a person in the context of that company.

        Raises NoSession when the person has no rights there.
        """
        opened = self._do(lambda world: quick_sessions.open_session(world, nip, pesel, world.clock.now()))
        return opened.access.text

    @property
    def ca_certificate(self) -> x509.Certificate:
        """The certificate of the authority that signs this sandbox's KSeF certificates."""
        return self._world.ca.certificate


def start(
    *,
    seed: int | None = None,
    state: str | os.PathLike[str] | None = None,
    switches: Mapping[str, SwitchValue] | None = None,
    faults: Profile | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Sandbox:
    """Start a sandbox; the caller closes it. Found by name through the entry points `klucznik.local_ksef`."""
    return Sandbox(seed=seed, state=state, switches=switches, faults=faults, host=host, port=port).start()
