"""What pages and API have to know of how they are reached."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit


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

    @property
    def passkey_host(self) -> str | None:
        """The name that passkeys are bound to; None where there is none: browsers bind them to no bare address."""
        host = urlsplit(self.public_url).hostname or ""
        try:
            ip_address(host)
        except ValueError:
            return host or None
        return None
