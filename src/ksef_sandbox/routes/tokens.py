"""HTTP face of KSeF tokens and public keys: /tokens*, /auth/ksef-token, /security/* (specification 2.7.0, facts.md §6).
It reads requests and writes answers; the rules are in `ksef_tokens.py` and `encryption.py`.
"""

import base64
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from starlette.responses import Response

from ksef_sandbox import bodies, encryption, ksef_tokens, paging
from ksef_sandbox.answers import empty_answer, json_answer
from ksef_sandbox.bodies import Body, Description, any_case
from ksef_sandbox.errors import InvalidInput
from ksef_sandbox.identity import ContextIdentifier, ContextType
from ksef_sandbox.ksef_tokens import TokenFilters, TokenState
from ksef_sandbox.permission_records import KsefToken, Permission, TokenSignIn
from ksef_sandbox.pipeline import PUBLIC, Call, Route
from ksef_sandbox.routes.auth import initiated
from ksef_sandbox.routes.certificates import JSON
from ksef_sandbox.routes.permission_bodies import PersonPermission
from ksef_sandbox.wire import JsonValue, optional_timestamp, timestamp
from ksef_sandbox.xml.auth_request import CONTEXT_PATTERNS, IP_PATTERNS, IpPolicy

_AUTHOR_TYPES = ("Nip", "Pesel", "Fingerprint")


def _distinct(names: list[PersonPermission]) -> list[PersonPermission]:
    if len(set(names)) != len(names):
        raise ValueError("'permissions' must not contain duplicates.")
    return names


class GenerateBody(Body):
    # A token can carry exactly the permissions that can be granted to a person.
    permissions: Annotated[
        list[Annotated[PersonPermission, any_case(PersonPermission)]], Field(min_length=1), AfterValidator(_distinct)
    ]
    description: Description


class ContextBody(Body):
    type: Annotated[ContextType, any_case(ContextType)]
    value: str


class AllowedIpsBody(Body):
    ip4_addresses: list[str] | None = None
    ip4_ranges: list[str] | None = None
    ip4_masks: list[str] | None = None


class PolicyBody(Body):
    allowed_ips: AllowedIpsBody | None = None


class TokenSignInBody(Body):
    challenge: Annotated[str, StringConstraints(min_length=36, max_length=36)]
    context_identifier: ContextBody
    encrypted_token: str
    public_key_id: Annotated[str, StringConstraints(min_length=44, max_length=44)] | None = None
    authorization_policy: PolicyBody | None = None


def _sign_in(call: Call) -> Response:
    body = bodies.read(TokenSignInBody, call.body)
    context = body.context_identifier
    if not CONTEXT_PATTERNS[context.type].fullmatch(context.value):
        raise InvalidInput("'contextIdentifier.value' is not in the correct format.")
    request = TokenSignIn(
        challenge=body.challenge,
        context=ContextIdentifier(context.type, context.value),
        encrypted_token=_octets(body.encrypted_token),
        public_key_id=body.public_key_id,
        ip_policy=_policy(body.authorization_policy),
    )
    return initiated(call, ksef_tokens.begin_sign_in(call.world, request, call.now, fate=call.fate))


def _octets(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidInput("The JSON value could not be converted. Path: $.encryptedToken.") from error


def _policy(body: PolicyBody | None) -> IpPolicy | None:
    if body is None or body.allowed_ips is None:
        return None
    allowed = body.allowed_ips
    entries = {
        "Ip4Address": tuple(allowed.ip4_addresses or ()),
        "Ip4Range": tuple(allowed.ip4_ranges or ()),
        "Ip4Mask": tuple(allowed.ip4_masks or ()),
    }
    for name, values in entries.items():
        if len(values) > 10 or not all(IP_PATTERNS[name].fullmatch(value) for value in values):
            raise InvalidInput("'authorizationPolicy.allowedIps' is not in the correct format.")
    return IpPolicy(entries["Ip4Address"], entries["Ip4Range"], entries["Ip4Mask"])


def _generate(call: Call) -> Response:
    body = bodies.read(GenerateBody, call.body)
    names = tuple(name.value for name in body.permissions)
    token, text = ksef_tokens.generate(call.world, call.session, names, body.description, call.now)
    return json_answer({"referenceNumber": token.reference, "token": text}, 202)


def _list(call: Call) -> Response:
    found = ksef_tokens.visible(call.world, call.session, _filters(call), call.now)
    page, next_token = paging.continued_page(call, found)
    items: list[JsonValue] = [_item(token, call.now) for token in page]
    continuation: dict[str, JsonValue] = {"continuationToken": next_token} if next_token else {}
    return json_answer({**continuation, "tokens": items})


def _filters(call: Call) -> TokenFilters:
    query = call.request.query_params
    states = {state.value.lower(): state for state in TokenState}
    asked = [text for text in query.getlist("status") if text]
    unknown = [text for text in asked if text.lower() not in states]
    author_type = query.get("authorIdentifierType") or None
    types = {name.lower(): name for name in _AUTHOR_TYPES}
    if unknown:
        raise InvalidInput(f"The value '{unknown[0][:100]}' is not valid for 'status'.")
    if author_type is not None and author_type.lower() not in types:
        raise InvalidInput(f"The value '{author_type[:100]}' is not valid for 'authorIdentifierType'.")
    return TokenFilters(
        states=frozenset(states[text.lower()] for text in asked),
        description=_long_enough("description", query.get("description")),
        author=_long_enough("authorIdentifier", query.get("authorIdentifier")),
        author_type=types[author_type.lower()] if author_type else None,
    )


def _long_enough(name: str, text: str | None) -> str | None:
    if text is not None and len(text) < 3:
        raise InvalidInput(f"The length of '{name}' must be at least 3 characters. You entered {len(text)}.")
    return text


def _status(call: Call) -> Response:
    reference = bodies.reference_parameter("referenceNumber", call.path_parameter("referenceNumber"))
    readers = (Permission.CREDENTIALS_MANAGE, Permission.CREDENTIALS_READ)
    return json_answer(_item(ksef_tokens.find(call.world, call.session, reference, call.now, *readers), call.now))


def _revoke(call: Call) -> Response:
    reference = bodies.reference_parameter("referenceNumber", call.path_parameter("referenceNumber"))
    token = ksef_tokens.find(call.world, call.session, reference, call.now, Permission.CREDENTIALS_MANAGE)
    ksef_tokens.revoke(call.world, token, call.now)
    return empty_answer(204)


def _item(token: KsefToken, now: datetime) -> dict[str, JsonValue]:
    return {
        "referenceNumber": token.reference,
        "authorIdentifier": {"type": token.author.type.value, "value": token.author.value},
        "contextIdentifier": {"type": token.context.type.value, "value": token.context.value},
        "description": token.description,
        "requestedPermissions": list(token.permissions),
        "dateCreated": timestamp(token.created_at),
        "lastUseDate": optional_timestamp(token.last_use_at),
        "status": ksef_tokens.state_of(token, now).value,
        "statusDetails": [],
    }


def _public_keys(call: Call) -> Response:
    items: list[JsonValue] = [
        {
            "certificate": key.der,
            "certificateId": key.certificate_id,
            "publicKeyId": key.public_key_id,
            "validFrom": timestamp(key.certificate.not_valid_before_utc),
            "validTo": timestamp(key.certificate.not_valid_after_utc),
            "usage": [key.usage],
        }
        for key in encryption.public_keys(call.world)
    ]
    return json_answer(items)


ROUTES = (
    Route("POST", "/auth/ksef-token", _sign_in, PUBLIC, JSON, rate_group=None),
    Route("POST", "/tokens", _generate, media_type=JSON),
    Route("GET", "/tokens", _list),
    Route("GET", "/tokens/{referenceNumber}", _status),
    Route("DELETE", "/tokens/{referenceNumber}", _revoke),
    Route("GET", "/security/public-key-certificates", _public_keys, PUBLIC, rate_group=None),
)
