"""The operator."""

from __future__ import annotations

from pydantic import Field

from klucznik.api.models.parts import Model, Moment, NipInBody
from klucznik.services.operator import CredentialSource


class OperatorCredential(Model):
    """One thing the operator can sign in with now."""

    source: CredentialSource
    serial: str
    name: str
    valid_to: Moment


class OperatorStatus(Model):
    """Who runs this installation."""

    nip: NipInBody
    name: str = Field(examples=["Biuro Rachunkowe Przykład"])
    credentials: list[OperatorCredential] = Field(description="The first choice first; empty: it cannot sign in")
