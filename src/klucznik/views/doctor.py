"""What files are, for machines."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.messages.catalogue import Words
from klucznik.messages.errors import error_text
from klucznik.services.doctor import CertificateFinding, FileFinding
from klucznik.views.parts import Json, context, moment, subject


def examined(found: Sequence[FileFinding], words: Words) -> Json:
    return {
        "outcome": "examined",
        "wrong": sum(bool(one.problems) for one in found),
        "files": [
            {
                "file": one.file,
                "kind": one.kind,
                "key": one.key,
                "reference": one.reference,
                "context": None if one.context is None else context(one.context),
                "certificates": [_certificate(each) for each in one.certificates],
                "problems": [
                    {"reason": problem.reason, "data": dict(problem.data), "message": error_text(problem, words).what}
                    for problem in one.problems
                ],
            }
            for one in found
        ],
    }


def _certificate(value: CertificateFinding) -> Json:
    return {
        "role": value.role.value,
        "subject": None if value.subject is None else subject(value.subject),
        "common_name": value.common_name,
        "serial": value.serial_number,
        "environment": None if value.environment is None else value.environment.value,
        "valid_from": moment(value.valid_from),
        "valid_to": moment(value.valid_to),
        "key_file": value.key_file,
        "uses": [use.value for use in value.uses],
    }
