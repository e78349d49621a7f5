"""The command `ksef-sandbox`: serve until told to stop, list the switches, or show how to point a client at it.
Everything it prints is printed here: with --json one line on stdout, else words for people; warnings on stderr.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ksef_sandbox.examples import LANGUAGES, example
from ksef_sandbox.switches import SwitchError, Switches, registry

if TYPE_CHECKING:
    from ksef_sandbox.state import World

EXIT_OK, EXIT_USAGE = 0, 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; exits with 0, or with 2 for anything the user can put right."""
    options = _parser().parse_args(arguments)
    if options.command == "switches":
        # `ksef-sandbox switches | head` is no error: whoever has read enough closes the pipe.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        _list_switches(as_json=options.json)
        raise SystemExit(EXIT_OK)
    if options.command == "example":
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(options.host, options.host)  # noqa: S104  (where to look)
        host = f"[{host}]" if ":" in host else host
        sys.stdout.write(example(options.language, f"http://{host}:{options.port}"))
        raise SystemExit(EXIT_OK)
    switches = Switches()
    try:
        switches.set_all(dict(_assignment(text) for text in options.set))
        if options.faults is not None:
            switches.set("fault_injection", options.faults)
    except SwitchError as error:
        _fail(str(error))
    raise SystemExit(_serve(options, switches))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ksef-sandbox",
        description="A stateful KSeF 2.0 on localhost: sign-in, certificates, limits, test data. For tests only.",
    )
    parser.add_argument("--version", action="version", version=f"ksef-sandbox {version('klucznik')}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_port, default=8380, help="port, 0 for any free one (default: %(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep everything in this SQLite file")
    parser.add_argument("--seed", type=int, metavar="N", help="make all numbers, keys and faults repeat")
    parser.add_argument(
        "--faults", choices=("none", "mild", "hostile"), metavar="PROFILE", help="misbehave: none, mild or hostile"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="SWITCH=VALUE", help="set a switch; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON and nothing else")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    switches = commands.add_parser("switches", help="list every switch with meaning, default and alternatives")
    switches.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="as JSON")
    shown = commands.add_parser("example", help="print how to point a known client at the sandbox")
    shown.add_argument("language", choices=LANGUAGES, metavar="LANGUAGE", help=", ".join(LANGUAGES))
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")
    return int(text)


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SwitchError(f"--set takes SWITCH=VALUE, not {text!r}.")
    return name.strip(), value


def _serve(options: argparse.Namespace, switches: Switches) -> int:
    from ksef_sandbox.server import AddressError, is_loopback, listen, new_event_loop, url_of
    from ksef_sandbox.state import World
    from ksef_sandbox.store import StoreError

    try:
        listener = listen(options.host, options.port)
    except AddressError as error:
        _fail(str(error))
    try:
        world = World(seed=options.seed, path=options.state, switches=switches)
    except StoreError as error:
        listener.close()
        _fail(str(error))
    url, is_exposed = url_of(listener), not is_loopback(listener)
    world.ca.crl_url = f"{url}/sandbox/ca.crl"

    async def run() -> None:
        from ksef_sandbox.app import create_app, default_hooks
        from ksef_sandbox.server import serve

        def announce() -> None:
            _announce(options, world, url, is_exposed=is_exposed)

        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(create_app(world, default_hooks(world)), listener, stop, announce)

    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(run())
    finally:
        world.close()
    return EXIT_OK


def _announce(options: argparse.Namespace, world: "World", url: str, *, is_exposed: bool) -> None:
    if is_exposed:
        sys.stderr.write(
            f"Warning: listening on {options.host}, not only for this machine. Whoever reaches it can\n"
            "sign in as anyone, read everything here and change it, clock and limits too: no passwords, no TLS.\n"
            "Do so on a network that you trust only; without --host it answers this machine alone.\n"
        )
        sys.stderr.flush()
    if options.json:
        sys.stdout.write(json.dumps({"base_url": f"{url}/v2"}) + "\n")
        sys.stdout.flush()
        return
    where = f"in {options.state}" if options.state else "in memory"
    sys.stdout.write(
        f"KSeF sandbox   {url}/v2   (state {where}; for tests, no legal effect)\n"
        f"Look at it     {url}/sandbox/\n"
        f"Point a client at it: use {url}/v2 wherever it has https://api-test.ksef.mf.gov.pl/v2\n"
        f"For known clients: ksef-sandbox example {{{','.join(LANGUAGES)}}}\n"
        "Ctrl-C stops it.\n"
    )
    if world.faults.active:
        profile = world.switches.fault_injection
        sys.stdout.write(
            f"Faults         {profile}; the same run again: --faults {profile} --seed {world.faults.seed}\n"
        )
    sys.stdout.flush()


def _list_switches(*, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "name": info.name,
                "type": info.kind,
                "default": info.default,
                "alternatives": list(info.alternatives),
                "meaning": info.meaning,
                "source": info.source,
            }
            for info in registry()
        ]
        sys.stdout.write(json.dumps(rows, ensure_ascii=False) + "\n")
        return
    for info in registry():
        default = str(info.default).lower() if info.kind == "bool" else str(info.default)
        others = f", or {', '.join(info.alternatives)}" if info.alternatives else ""
        sys.stdout.write(f"{info.name}\n    {info.meaning}\n    {default}{others}   (source: {info.source})\n")


def _fail(sentence: str) -> NoReturn:
    sys.stderr.write(f"ksef-sandbox: {sentence}\n")
    raise SystemExit(EXIT_USAGE)
