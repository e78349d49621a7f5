"""The four worlds. Identities, certificates, limits and tokens never cross from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from klucznik.domain.values import InvalidValue


class Environment(StrEnum):
    SANDBOX = "sandbox"
    TEST = "test"
    DEMO = "demo"
    PRODUCTION = "production"

    @property
    def accepts_self_signed(self) -> bool:
        """Only TEST and a local sandbox let a self-signed certificate sign in (facts.md §1.1)."""
        return self in (Environment.SANDBOX, Environment.TEST)

    @classmethod
    def parse(cls, text: str) -> Environment:
        try:
            return cls(text.strip().lower())
        except ValueError:
            raise InvalidValue("environment_unknown", value=text, known=", ".join(cls)) from None


@dataclass(frozen=True)
class Endpoint:
    """Where an environment answers.

    Attributes:
        api: base of the API with the version and without a closing slash, ``https://host/v2``.
        qr_host: host (and port) that is signed into a KOD II link (facts.md §8).
    """

    environment: Environment
    api: str
    qr_host: str


# facts.md §1.1. A sandbox is wherever the user started it; this is where `ksef-sandbox` listens by default.
_OFFICIAL = {
    Environment.TEST: ("https://api-test.ksef.mf.gov.pl/v2", "qr-test.ksef.mf.gov.pl"),
    Environment.DEMO: ("https://api-demo.ksef.mf.gov.pl/v2", "qr-demo.ksef.mf.gov.pl"),
    Environment.PRODUCTION: ("https://api.ksef.mf.gov.pl/v2", "qr.ksef.mf.gov.pl"),
    Environment.SANDBOX: ("http://127.0.0.1:8380/v2", "127.0.0.1:8380"),
}
_OFFICIAL_HOSTS = {
    urlsplit(api).hostname: environment
    for environment, (api, _) in _OFFICIAL.items()
    if environment is not Environment.SANDBOX
}


def endpoint(environment: Environment, url: str | None = None) -> Endpoint:
    """The addresses of ``environment``, or of ``url`` when the user names one.

    Raises:
        InvalidValue: the address is no http(s) URL, is plain http to another machine outside the sandbox, or is the
            official address of a different environment (a certificate of one is worthless in another).
    """
    if url is None:
        api, qr_host = _OFFICIAL[environment]
        return Endpoint(environment, api, qr_host)
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InvalidValue("ksef_url_malformed", value=_without_secrets(url))
    owner = _OFFICIAL_HOSTS.get(parts.hostname)
    if owner is not None and owner is not environment:
        raise InvalidValue(
            "ksef_url_of_other_environment", value=parts.hostname, environment=environment.value, other=owner.value
        )
    if parts.scheme == "http" and environment is not Environment.SANDBOX:
        raise InvalidValue("ksef_url_not_encrypted", value=parts.hostname, environment=environment.value)
    api = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    if environment is Environment.SANDBOX and not parts.path.strip("/"):
        api += "/v2"
    qr_host = parts.netloc if environment is Environment.SANDBOX else _OFFICIAL[environment][1]
    return Endpoint(environment, api, qr_host)


def _without_secrets(url: str) -> str:
    """A malformed address is shown back without its user information and query: both may hold a password."""
    shown = url.strip().split("?", 1)[0].split("#", 1)[0]
    scheme, separator, rest = shown.rpartition("//")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"[:200]
