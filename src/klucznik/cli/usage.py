"""What the command-line parser itself says, in the language of this run: help headings and usage errors."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import typer
from typer._click import exceptions as click
from typer._click.formatting import HelpFormatter
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from klucznik.cli.exit_codes import Exit
from klucznik.cli.output import Output
from klucznik.messages import Words
from klucznik.messages.errors import ErrorText


class _Speaks:
    """Mixed into commands: the words that the parser would say in English."""

    words: Words

    def get_usage(self, ctx: typer.Context) -> str:
        usage: str = super().get_usage(ctx)  # type: ignore[misc]
        return usage.replace("Usage:", self.words.say("usage.heading"), 1)

    def format_help(self, ctx: typer.Context, formatter: HelpFormatter) -> None:
        # Imported by the help alone: what draws it costs a command that draws nothing a tenth of its CPU.
        from typer import rich_utils

        rich_utils.OPTIONS_PANEL_TITLE = self.words.say("usage.options")
        rich_utils.COMMANDS_PANEL_TITLE = self.words.say("usage.commands")
        rich_utils.ARGUMENTS_PANEL_TITLE = self.words.say("usage.arguments")
        rich_utils.DEFAULT_STRING = self.words.say("usage.default")
        rich_utils.ENVVAR_STRING = self.words.say("usage.variable")
        rich_utils.REQUIRED_LONG_STRING = self.words.say("usage.required")
        super().format_help(ctx, formatter)  # type: ignore[misc]

    def get_help_option(self, ctx: typer.Context) -> TyperOption | None:
        option: TyperOption | None = super().get_help_option(ctx)  # type: ignore[misc]
        if option is not None:
            option.help, option.metavar = self.words.say("help.help"), ""
        return option


def classes_for(words: Words) -> tuple[type[TyperGroup], type[TyperCommand]]:
    """The parser's classes, speaking one language."""
    group = type("Group", (_Speaks, TyperGroup), {"words": words})
    command = type("Command", (_Speaks, TyperCommand), {"words": words})
    return group, command


def _translate(command: object, words: Words) -> None:
    """Help texts are declared as keys of the catalogue and placeholders by their English names."""
    if not isinstance(command, TyperCommand | TyperGroup):
        return
    command.options_metavar = words.say("usage.options_placeholder")
    for parameter in command.params:
        if isinstance(parameter, TyperOption | TyperArgument):
            _translate_parameter(parameter, words)
    if isinstance(command, TyperGroup):
        command.subcommand_metavar = words.say("usage.command_placeholder")
        for child in command.commands.values():
            _translate(child, words)


def _translate_parameter(parameter: TyperOption | TyperArgument, words: Words) -> None:
    if parameter.help:
        parameter.help = words.say(parameter.help)
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        parameter.metavar = ""  # a switch takes no value, whatever type the parser gives it
    elif parameter.metavar and words.has(f"placeholder.{parameter.metavar}"):
        parameter.metavar = words.say(f"placeholder.{parameter.metavar}")


def invoke(application: typer.Typer, arguments: Sequence[str], words: Words, output: Output) -> int:
    """Run a parsed command; a line that cannot be parsed ends in one sentence and exit code 2."""
    command = get_command(application)
    _translate(command, words)
    try:
        status = command.main(args=list(arguments) or ["--help"], prog_name="klucznik", standalone_mode=False)
    except click.UsageError as error:
        output.say_problem(_text(error, words), Exit.BAD_INPUT, reason="usage", data={"command": _command(error)})
        return Exit.BAD_INPUT
    except typer.Abort:
        raise KeyboardInterrupt from None
    return status if isinstance(status, int) else Exit.DONE


def _text(error: click.UsageError, words: Words) -> ErrorText:
    now = words.say("usage.now", command=_command(error))
    if isinstance(error, click.NoSuchOption):
        near = ", ".join(sorted(error.possibilities or ()))
        key = "usage.no_such_option_but" if near else "usage.no_such_option"
        return ErrorText(words.say(key, name=error.option_name, near=near), now)
    if isinstance(error, click.MissingParameter):
        return ErrorText(words.say("usage.missing", name=_parameter(error)), now)
    if isinstance(error, click.BadParameter):
        known = _choices(error)
        key = "usage.bad_choice" if known else "usage.bad_value"
        return ErrorText(words.say(key, name=_parameter(error), known=known), now)
    if isinstance(error, click.BadOptionUsage):
        return ErrorText(words.say("usage.no_value", name=error.option_name), now)
    if "No such command" in error.message:
        return ErrorText(
            words.say("usage.no_such_command", said=error.message.partition("'")[2].partition("'")[0]), now
        )
    return ErrorText(words.say("usage.other"), now)


def _parameter(error: click.BadParameter) -> str:
    if isinstance(error.param, TyperArgument):
        return error.param.metavar or ""
    if error.param is not None and error.param.opts:
        return error.param.opts[0]
    hint = error.param_hint
    return hint if isinstance(hint, str) else ", ".join(hint or ())


def _choices(error: click.BadParameter) -> str:
    """The values of an option that takes one of a few."""
    annotation = getattr(getattr(error.param, "type_descriptor", None), "annotation", None)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(str(choice.value) for choice in annotation)
    return ""


def _command(error: click.UsageError) -> str:
    return error.ctx.command_path if error.ctx is not None else "klucznik"
