"""What needs more than a session: keys that are handed out, changes of what opens accounts and the installation.

Whoever finds a browser unattended gets none of these: the password, or a passkey, was given minutes ago. A client by
invitation has neither: what they have signed for KSeF stands in its place, where they take away what they signed for.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from klucznik.access.gate import Requires, Visitor
from klucznik.errors import AccessDenied


@dataclass(frozen=True)
class RequiresProof(Requires):
    """As `Requires`, of somebody who has proved lately who they are.

    Attributes:
        back: where the page that asks for the password leads; None: to the very page, which then has to have a GET.
    """

    back: str | None = None

    async def __call__(self, request: Request) -> Visitor:
        visitor = await super().__call__(request)
        check_proved(visitor, back=self.back or request.url.path)
        return visitor


def check_proved(visitor: Visitor, *, back: str) -> None:
    """Raise where it is too long ago that they proved who they are.

    Args:
        back: path of the page to go on with afterwards.

    Raises:
        AccessDenied: ``proof_needed``, which leads to the page that asks for the password; ``account_needed`` of a
            client, who has none.
    """
    if visitor.session.proved_lately(visitor.klucznik.clock.now()):
        return
    if visitor.session.invitation_id is not None:
        raise AccessDenied("account_needed")
    raise AccessDenied("proof_needed", back=back)
