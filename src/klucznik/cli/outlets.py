"""By which ways this installation tells the world what happens, as the environment says. Read here and nowhere else."""

from __future__ import annotations

import os

from klucznik.domain.languages import Language
from klucznik.errors import InputError
from klucznik.messages import Words
from klucznik.services.telling.rounds import Outlets


def outlets_from_environment(words: Words, *, public_url: str | None = None) -> Outlets:
    """For whoever works: a worker, or the web app with one inside.

    Args:
        words: the language of e-mails to whoever has chosen none.
        public_url: where people find the board; None: the environment says, or nobody.

    Raises:
        InputError: ``smtp_url_malformed``, ``mail_sender_malformed``, ``mail_sender_missing``.
    """
    private = os.environ.get("KLUCZNIK_WEBHOOK_PRIVATE", "") not in ("", "0")
    smtp, sender = os.environ.get("KLUCZNIK_SMTP_URL"), os.environ.get("KLUCZNIK_MAIL_FROM")
    language = Language(words.language)
    if not smtp:
        return Outlets(private_webhooks=private, language=language)
    if not sender:
        raise InputError("mail_sender_missing")
    # Only those who send letters need their templates.
    from klucznik.services.telling.mail import MailServer
    from klucznik.services.telling.notices import Mail
    from klucznik.views.letters import Letters

    where = public_url or os.environ.get("KLUCZNIK_PUBLIC_URL") or None
    write = Letters(language, None if where is None else where.rstrip("/"))
    return Outlets(private, Mail(MailServer.parse(smtp, sender), write), language)
