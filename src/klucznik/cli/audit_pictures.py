"""What a look through the audit log has found, for a terminal. No decisions."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from klucznik.messages import Words
from klucznik.services.audit import Verified


def verified(found: Verified, words: Words) -> RenderableType:
    looked = words.say("audit.looked", rows=found.rows, chains=found.chains)
    if not found.broken:
        whole = "audit.whole" if not found.compared else "audit.whole_and_as_exported"
        return Group(
            Text.assemble(("✓ ", "green"), words.say(whole, compared=found.compared)), Text(f"  {looked}", style="dim")
        )
    lines: list[RenderableType] = [Text.assemble(("✗ ", "bold red"), words.say("audit.broken"))]
    for one in found.broken:
        flaw = words.say(f"audit.flaw.{one.flaw.value}")
        lines.append(Text(f"  {one.chain}  {one.number}  {flaw}"))
    return Group(*lines, Text(f"  {looked}", style="dim"))
