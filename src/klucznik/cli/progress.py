"""Tells a person what an issuance is doing, a line for each thing done."""

from __future__ import annotations

from klucznik.cli.output import Output
from klucznik.services.progress import Progress, Stage

# For logs and counters; a person in front of a terminal is told how it came out.
_UNTOLD = frozenset({Stage.TAKEN_ON, Stage.WAITING, Stage.REJECTED, Stage.ENDED, Stage.HOOK_ENDED})
_WAITS = frozenset(
    {
        Stage.SIGNING_IN,
        Stage.WAITING_FOR_KSEF,
        Stage.VERIFYING,
        Stage.PACED,
        Stage.SUBJECT_BUSY,
        Stage.GRANTING,
        Stage.WITHDRAWING,
        Stage.PROVING,
        Stage.NOT_YET_LET_IN,
    }
)
_DOUBTS = frozenset({Stage.ANSWER_LOST, Stage.GRANT_ANSWER_LOST})


class Teller:
    """A listener that prints."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def __call__(self, progress: Progress) -> None:
        if progress.stage in _UNTOLD:
            return
        words = self._output.words
        data: dict[str, object] = {"seconds": round(progress.seconds) if progress.seconds else None}
        if progress.type is not None:
            data["type"] = words.say(f"type.{progress.type.value}")
        if progress.limits is not None:
            data["requests"] = progress.limits.enrollment.remaining
            data["request_limit"] = progress.limits.enrollment.limit
            data["certificates"] = progress.limits.certificate.remaining
            data["certificate_limit"] = progress.limits.certificate.limit
        text = words.say(f"progress.{progress.stage.value}", **data)
        if progress.stage in _WAITS:
            self._output.note(text)
        elif progress.stage in _DOUBTS:
            self._output.note(text, sign="!", style="yellow")
        else:
            self._output.done(text)
