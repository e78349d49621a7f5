"""How this installation is reached: the address that people see, or why it would be a bad idea. Pure."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from klucznik.access.settings import WebSettings
from klucznik.errors import InputError
from klucznik.server.settings import ServerSettings

_USUAL = {"http": 80, "https": 443}
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104  compared with, not bound to


def reach(settings: ServerSettings, *, port: int) -> WebSettings:
    """What pages and API have to know of it.

    Args:
        port: where it listens.

    Raises:
        InputError: ``plain_http_not_local``, ``proxy_not_named``, ``public_url_needed``, ``public_url_malformed``,
            ``public_url_not_encrypted``, ``tls_half``.
    """
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise InputError("tls_half", missing="--tls-key" if settings.tls_key is None else "--tls-cert")
    tls, proxies = settings.tls_cert is not None, bool(settings.behind_proxy)
    if not (tls or proxies or _is_local(settings.host)):
        raise InputError("plain_http_not_local", host=settings.host)
    if settings.public_url is None:
        if proxies or settings.host in _EVERYWHERE:
            raise InputError("public_url_needed")
        return WebSettings(_own_url("https" if tls else "http", settings.host, port))
    url = _parsed(settings.public_url)
    if url.scheme == "http" and (tls or not _is_local(url.hostname or "")):
        raise InputError("public_url_not_encrypted", value=url.netloc)
    if url.scheme == "https" and not (tls or proxies):
        raise InputError("proxy_not_named")
    return WebSettings(f"{url.scheme}://{url.netloc}")


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _own_url(scheme: str, host: str, port: int) -> str:
    # Passkeys are bound to a name; an address is none.
    name = "localhost" if _is_local(host) else f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port == _USUAL[scheme] else f"{scheme}://{name}:{port}"


def _parsed(text: str) -> SplitResult:
    """Scheme, host and port, and nothing else: pages know no other place than the top of their host."""
    try:
        url = urlsplit(text.strip().rstrip("/").lower())
        _ = url.port
    except ValueError:
        raise InputError("public_url_malformed") from None
    more = url.path or url.query or url.fragment or url.username or url.password
    if url.scheme not in _USUAL or not url.hostname or more:
        raise InputError("public_url_malformed")
    return url
