"""The front door of the command: language first, then the command, then every possible end as an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from klucznik.cli.output import Output
    from klucznik.messages import Words

# Global options may stand anywhere on the line, as people write them.
_GLOBAL_WITH_VALUE = ("--home", "--env", "--ksef-url", "--lang", "--pkcs11-module")
_GLOBAL_FLAGS = ("--debug",)


def main() -> None:
    """Entry point of ``klucznik``."""
    import gc

    # A short-lived process: collecting garbage while modules load costs a tenth of the start and frees nothing.
    gc.disable()
    status = run(sys.argv[1:])
    sys.stdout.flush()
    raise SystemExit(status)


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code."""
    from klucznik.cli import language
    from klucznik.cli.exit_codes import Exit, code_of
    from klucznik.cli.output import Output
    from klucznik.errors import KlucznikError

    words = language.choose(arguments, os.environ)
    output = Output(words, as_json="--json" in arguments)
    try:
        from klucznik.cli.app import build
        from klucznik.cli.usage import invoke

        return invoke(build(words), hoisted(arguments), words, output)
    except KlucznikError as error:
        code = code_of(error)
        output.problem(error, code)
        return code
    except KeyboardInterrupt:
        output.note(words.say("interrupted"), sign="!", style="yellow")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.FAILED
    except Exception as error:
        if "--debug" in arguments or os.environ.get("KLUCZNIK_DEBUG"):
            raise
        # The type alone: the text of an unforeseen error may hold anything.
        _unforeseen(output, words, type(error).__name__)
        return Exit.FAILED


def hoisted(arguments: Sequence[str]) -> list[str]:
    """The same line with the global options in front of the command."""
    front: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        name = argument.partition("=")[0]
        if argument == "--":
            rest += ["--", *remaining]
        elif argument in _GLOBAL_FLAGS or (name in _GLOBAL_WITH_VALUE and "=" in argument):
            front.append(argument)
        elif argument in _GLOBAL_WITH_VALUE:
            front += [argument, *(value for value in (next(remaining, None),) if value is not None)]
        else:
            rest.append(argument)
    return [*front, *rest]


def _unforeseen(output: Output, words: Words, name: str) -> None:
    from klucznik.messages.errors import ErrorText

    text = ErrorText(words.say("error.unforeseen", type=name), words.say("error.unforeseen.now"))
    output.say_problem(text, 1, reason="unforeseen", data={"type": name})
