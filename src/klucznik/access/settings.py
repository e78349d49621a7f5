"""What pages and API have to know of how they are reached."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WebSettings:
    """How this installation is reached.

    Attributes:
        public_url: for links in e-mails and invitations, without a slash at its end.
    """

    public_url: str

    @property
    def secure(self) -> bool:
        """Whether cookies go over TLS alone."""
        return self.public_url.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie; with the prefix that binds it to this very host where TLS is on."""
        return "__Host-klucznik" if self.secure else "klucznik"

    @property
    def device_cookie(self) -> str:
        """The name of the cookie by which a browser is known that has signed in before."""
        return f"{self.cookie}-device"
