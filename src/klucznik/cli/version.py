"""The command that says which Klucznik this is."""

from __future__ import annotations

import typer

from klucznik.cli.options import AsJson
from klucznik.cli.running import start


def version(ctx: typer.Context, as_json: AsJson = False) -> None:
    from importlib.metadata import version as installed_version

    _, output = start(ctx, as_json)
    number = installed_version("klucznik")
    output.result({"outcome": "version", "version": number}, f"klucznik {number}")
