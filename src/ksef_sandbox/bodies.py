"""Reading JSON bodies, query and header parameters; what is wrong becomes 21405 with English sentences (facts.md §1.3).
The models of particular bodies stand beside their routes.
"""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from starlette.requests import Request

from ksef_sandbox.errors import InvalidInput


def in_utc(moment: datetime) -> datetime:
    """A date without an offset is taken as UTC; one that its offset carries past the first or last year stays there."""
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(in_utc)]


class Body(BaseModel):
    """Base of request bodies: camelCase names, unknown properties ignored, no conversion between JSON types."""

    # Built when the first such body comes: building them all would be a fifth of the time a start takes.
    model_config = ConfigDict(alias_generator=to_camel, frozen=True, strict=True, extra="ignore", defer_build=True)


B = TypeVar("B", bound=Body)
E = TypeVar("E", bound=StrEnum)

Nip = Annotated[str, StringConstraints(pattern=r"^[1-9](([0-9][1-9])|([1-9][0-9]))[0-9]{7}$")]
Pesel = Annotated[
    str,
    StringConstraints(
        pattern=r"^[0-9]{2}(?:0[1-9]|1[0-2]|2[1-9]|3[0-2]|4[1-9]|5[0-2]|6[1-9]|7[0-2]|8[1-9]|9[0-2])[0-9]{7}$"
    ),
]
Description = Annotated[str, StringConstraints(min_length=5, max_length=256)]


def any_case(kind: type[E]) -> BeforeValidator:
    """Take the names of an enum in any case, as older samples write them (ASSUME of facts.md §1.2)."""
    by_lower = {member.value.lower(): member for member in kind}

    def take(value: object) -> object:
        return by_lower.get(value.lower(), value) if isinstance(value, str) else value

    return BeforeValidator(take)


def read(model: type[B], body: bytes) -> B:
    """Parse a body; raises InvalidInput with one sentence for each broken rule."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(*[sentence(detail) for detail in error.errors(include_url=False)]) from error


def query_integer(request: Request, name: str, *, low: int, high: int | None, default: int) -> int:
    """An integer query parameter within bounds; raises InvalidInput."""
    text = request.query_params.get(name)
    if text is None or not text.strip():
        return default
    if not re.fullmatch(r"[+-]?[0-9]{1,9}", text.strip()):
        raise InvalidInput(f"The value '{text[:100]}' is not valid for '{name}'.")
    value = int(text)
    if high is None and value < low:
        raise InvalidInput(f"'{name}' must be greater than or equal to {low}. You entered {value}.")
    if high is not None and not low <= value <= high:
        raise InvalidInput(f"'{name}' must be between {low} and {high}. You entered {value}.")
    return value


def query_boolean(request: Request, name: str) -> bool | None:
    """A boolean query parameter, None when it is not given; raises InvalidInput."""
    text = request.query_params.get(name)
    if text is None or not text.strip():
        return None
    if text.strip().lower() not in ("true", "false"):
        raise InvalidInput(f"The value '{text[:100]}' is not valid for '{name}'.")
    return text.strip().lower() == "true"


def reference_parameter(name: str, value: str) -> str:
    """A reference number in a path, 36 characters; raises InvalidInput."""
    if len(value) != 36:
        raise InvalidInput(f"The length of '{name}' must be 36 characters. You entered {len(value)} characters.")
    return value


_SENTENCES = {
    "json_invalid": "The body is not valid JSON.",
    "missing": "'{name}' must not be empty.",
    "string_too_short": "The length of '{name}' must be at least {min_length} characters. You entered {size}.",
    "string_too_long": "The length of '{name}' must be {max_length} characters or fewer. You entered {size}.",
    "too_short": "'{name}' must contain at least {min_length} items. You entered {size}.",
    "too_long": "'{name}' must contain {max_length} items or fewer. You entered {size}.",
    "string_pattern_mismatch": "'{name}' is not in the correct format.",
    "enum": "'{name}' has a range of values which does not include '{entered}'.",
    "literal_error": "'{name}' has a range of values which does not include '{entered}'.",
    "greater_than_equal": "'{name}' must be greater than or equal to {ge}. You entered {entered}.",
    "less_than_equal": "'{name}' must be less than or equal to {le}. You entered {entered}.",
    "value_error": "{error}",
    # raised by identifiers: a type and a value that must fit it
    "unfit_value": "'{name}.value' is not in the correct format of '{kind}'.",
}
_OTHERWISE = "The JSON value could not be converted. Path: ${dot}{name}."


def sentence(detail: ErrorDetails) -> str:
    """One broken rule in the manner of FluentValidation."""
    name, entered = _path(detail["loc"]), detail["input"]
    facts = {
        "name": name,
        "dot": "." if name else "",
        "entered": str(entered)[:100],
        "size": len(entered) if isinstance(entered, str | list | tuple) else 0,
        **detail.get("ctx", {}),
    }
    return _SENTENCES.get(detail["type"], _OTHERWISE).format_map(facts)


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
