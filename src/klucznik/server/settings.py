"""What is said to `klucznik serve`: by options, or variables ``KLUCZNIK_…`` where there is none (docs/serving.md)."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from klucznik.errors import InputError

_PREFIX = "KLUCZNIK_"


class ServerSettings(BaseSettings):
    """How pages and API are served.

    Attributes:
        host, port: where to listen; port 0 takes a free one.
        public_url: what people have in their browser's address bar; None: told from where it listens.
        tls_cert, tls_key: PEM files; None: plain http.
        behind_proxy: addresses and networks of proxies, whose word is taken for who asks and by what scheme.
        worker: whether due issuances are worked on in this process too.
        metrics_port, metrics_host: where `/metrics` is served, apart from the pages; None: nowhere.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    public_url: str | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    behind_proxy: Annotated[tuple[str, ...], NoDecode] = ()
    worker: bool = True
    metrics_port: int | None = Field(default=None, ge=0, le=65535)
    metrics_host: str = "127.0.0.1"

    @field_validator("behind_proxy", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        """In the environment they stand with commas between."""
        return [one.strip() for one in value.split(",") if one.strip()] if isinstance(value, str) else value

    @field_validator("behind_proxy")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ip_network(one, strict=False)
            except ValueError:
                raise InputError("proxy_address_malformed", value=one) from None
        return value


def read_settings(**given: object) -> ServerSettings:
    """The settings of this run.

    Args:
        given: what the command line says; None where it says nothing, and the environment is asked.

    Raises:
        InputError: ``setting_malformed`` (with the name of its variable), ``proxy_address_malformed``.
    """
    said: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    try:
        return ServerSettings(**said)
    except ValidationError as error:
        first = error.errors()[0]
        name, value = str(first["loc"][0]), str(first["input"])[:100]
        raise InputError("setting_malformed", name=_PREFIX + name.upper(), value=value) from None
