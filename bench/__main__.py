"""The command line of the benchmarks: reads the options, runs one of them, prints a table or JSON.

What is measured lives in `pair`, `cli`, `sandbox`, `durable` and `web`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from bench import cli, durable, pair, sandbox, web
from bench.report import Report


def main(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    report = _measured(options)
    print(json.dumps(report.as_json(), ensure_ascii=False) if options.json else report.as_text())


def _measured(options: argparse.Namespace) -> Report:
    if options.command == "pair":
        return pair.measure(rtt_ms=options.rtt_ms, tls=options.tls, repeats=options.repeats)
    if options.command == "cli":
        return cli.measure(repeats=options.repeats)
    if options.command == "durable":
        return durable.measure(pairs=options.pairs, at_once=options.at_once, repeats=options.repeats)
    if options.command == "web":
        return web.measure(connections=options.connections, visits=options.visits, postgresql=options.postgresql)
    return sandbox.measure(subjects=options.subjects, jobs=options.jobs, repeats=options.repeats)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Figures, measured on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    pairs = commands.add_parser("pair", help="a whole pair of certificates over a slow line, beside ksef-client")
    pairs.add_argument("--rtt-ms", type=float, default=50.0, help="round trip of the line in ms (default: %(default)s)")
    pairs.add_argument("--tls", action="store_true", help="each connection costs the round trip of TLS 1.3 as well")
    processes = commands.add_parser("cli", help="whole processes: start-up, and issue beside a ksef-client script")
    own = commands.add_parser("sandbox", help="ksef-sandbox itself: speed, CPU, memory, start")
    own.add_argument(
        "--subjects", type=_whole, default=10_000, help="who fills it; ten certificates each (default: %(default)s)"
    )
    own.add_argument("--jobs", type=_whole, default=320, help="sign-ins and pairs of each kind (default: %(default)s)")
    lasting = commands.add_parser("durable", help="what it costs that nothing is lost, and how it grows")
    lasting.add_argument("--pairs", type=_whole, default=500, help="pairs of each kind (default: %(default)s)")
    lasting.add_argument("--at-once", type=_whole, default=8, help="pairs in flight (default: %(default)s)")
    pages = commands.add_parser("web", help="what a page costs beside few connections and beside many")
    pages.add_argument("--connections", type=_whole, default=10_000, help="how many (default: %(default)s)")
    pages.add_argument("--visits", type=_whole, default=100, help="of each page (default: %(default)s)")
    pages.add_argument("--postgresql", metavar="URL", help="a server's database instead of SQLite")
    pages.add_argument("--json", action="store_true", help="print JSON")
    for command in (pairs, processes, own, lasting):
        repeats = 1 if command is lasting else 7
        command.add_argument("--repeats", type=_whole, default=repeats, help="runs of each (default: %(default)s)")
        command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _whole(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


if __name__ == "__main__":
    main(sys.argv[1:])
