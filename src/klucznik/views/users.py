"""Users of the installation, for machines. No hash and no secret of theirs."""

from __future__ import annotations

from collections.abc import Sequence

from klucznik.domain.accounts import User
from klucznik.services.accounts.users import Listed
from klucznik.views.parts import Json, moment


def listed(found: Sequence[Listed]) -> Json:
    return {
        "outcome": "users",
        "users": [{**_user(one.user), "second_factor": one.second_factor} for one in found],
    }


def link_made(user: User, address: str) -> Json:
    return {"outcome": "link_made", "user": _user(user), "link": address}


def _user(user: User) -> dict[str, Json]:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "role": user.role.value,
        "has_password": user.password_hash is not None,
        "created_at": moment(user.created_at),
        "disabled_at": moment(user.disabled_at),
    }
