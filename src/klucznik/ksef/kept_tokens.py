"""The tokens of a session as bytes for the vault, and back. Nothing else may hold them (rule 7 of the design)."""

from __future__ import annotations

import json
from datetime import datetime

from klucznik.ksef.answers import Token, TokenPair


def to_bytes(tokens: TokenPair) -> bytes:
    """What the vault seals."""
    kept = {name: [token.value, token.valid_until.isoformat()] for name, token in _named(tokens)}
    return json.dumps(kept).encode()


def from_bytes(kept: bytes) -> TokenPair:
    """The tokens again; `kept` comes from `to_bytes` by way of the vault, which would have noticed any change."""
    read = {name: Token(value, datetime.fromisoformat(until)) for name, (value, until) in json.loads(kept).items()}
    return TokenPair(access=read["access"], refresh=read["refresh"])


def _named(tokens: TokenPair) -> tuple[tuple[str, Token], tuple[str, Token]]:
    return ("access", tokens.access), ("refresh", tokens.refresh)
