"""After a refusal, with a person at the terminal: which way out to walk now, in the session that was refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from klucznik.cli import permission_pictures, pictures, refusal_pictures
from klucznik.cli.options import asked, confirmed
from klucznik.cli.output import Output
from klucznik.domain.preflight import Refusal
from klucznik.domain.reasons import RemedyKind, Risk
from klucznik.domain.remedies import Remedy
from klucznik.errors import InputError
from klucznik.messages.refusal import risk_text
from klucznik.services.grant import Grant, Granted
from klucznik.services.ways_out import Turn, WaysOut


class Guide:
    """Shows each refusal, asks which way to walk, and walks it after a yes.

    Attributes:
        shown: the refusal that was shown last.
        granted: what came of a grant, where that way was walked.
    """

    def __init__(self, output: Output, again: Sequence[str] = ()) -> None:
        self._output = output
        self._words = output.words
        self._again = again
        self.shown: Refusal | None = None
        self.granted: Granted | None = None

    @staticmethod
    def wanted(output: Output) -> bool:
        """Whether somebody is there to be asked."""
        return sys.stdin.isatty() and not output.as_json

    async def __call__(self, ways: WaysOut) -> Turn:
        self.shown = ways.refusal
        self._output.picture(refusal_pictures.refusal(ways.refusal, self._words, again=self._again))
        remedy = self._chosen(ways)
        turn = Turn.LEAVE
        if remedy is not None and remedy.kind is RemedyKind.GRANT_PERMISSION:
            await self._grant(ways)
        elif remedy is not None and remedy.kind is RemedyKind.REVOKE:
            turn = await self._revoke(ways, remedy)
        elif remedy is not None:
            turn = Turn.COMPLETE_PAIR
        if turn is not Turn.LEAVE:
            self._output.done(self._words.say("ways.going_on"))
        elif self.granted is None and ways.open:
            self._output.note(self._words.say("ways.none_walked"))
        return turn

    def _chosen(self, ways: WaysOut) -> Remedy | None:
        """By the numbers of the list above."""
        numbered = {str(ways.refusal.remedies.index(remedy) + 1): remedy for remedy in ways.open}
        while numbered:
            said = asked(self._words.say("ways.which", numbers=", ".join(numbered))).strip().rstrip(".")
            if not said or said in numbered:
                return numbered.get(said)
            self._output.note(self._words.say("ways.unknown", said=said), sign="!", style="yellow")
        return None

    async def _grant(self, ways: WaysOut) -> None:
        def agreed(what: Grant) -> bool:
            for line in permission_pictures.grant_warnings(what, self._words):
                self._output.note(line, sign="!", style="yellow")
            return confirmed(self._words.say("ask.grant"), self._words)

        try:
            self.granted = await ways.grant(confirm=agreed)
        except InputError as error:
            if error.reason != "not_confirmed":
                raise

    async def _revoke(self, ways: WaysOut, remedy: Remedy) -> Turn:
        words, suggested = self._words, remedy.suggested_certificates
        for about in suggested:
            self._output.note(refusal_pictures.certificate(about, words).plain, sign="!", style="yellow")
        for asked_for in await ways.revocations(suggested):
            if asked_for.programs:
                noticed = words.say("revoke.programs", programs=", ".join(asked_for.programs))
                self._output.note(noticed, sign="!", style="yellow")
        for risk in remedy.risks:
            self._output.note(risk_text(risk, words), sign="!", style="yellow")
        if not confirmed(words.count("ask.revoke_these", len(suggested)), words):
            return Turn.LEAVE
        end_sessions = Risk.SESSIONS_LIVE_ON in remedy.risks and confirmed(words.say("ask.end_sessions"), words)
        for done in await ways.revoke(suggested, end_sessions=end_sessions):
            self._output.picture(pictures.revoked(done, words))
        return ways.after_revoking
