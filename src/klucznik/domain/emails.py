"""Addresses of e-mail, as people write them. Whether anybody reads them is not asked. Pure."""

from __future__ import annotations

from klucznik.domain.values import InvalidValue


def parse_email(text: str) -> str:
    """An address that mail can be sent to, its domain in lower case.

    Raises:
        InvalidValue: ``email_malformed``.
    """
    from email_validator import EmailNotValidError, validate_email  # a command needs none of it

    try:
        return validate_email(text.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        raise InvalidValue("email_malformed", value=text.strip()[:80]) from None
