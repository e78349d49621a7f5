"""What is not known about KSeF, as switches: each with meaning, default, alternatives and public source.
Reading a switch is a plain attribute; setting one goes through `Switches.set`, which checks it.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

SwitchValue = bool | int | str


class SwitchError(ValueError):
    """An unknown switch or a value it does not take; the message is a whole sentence."""


def _switch(default: SwitchValue, meaning: str, source: str) -> Any:  # Any: the field's own type says what it is
    return field(default=default, metadata={"meaning": meaning, "source": source})


@dataclass
class Switches:
    """Present values. Sources name what is public: the Ministry's `CIRFMF/ksef-docs`, threads of `CIRFMF/ksef-api`, or
    an operation of the specification; where they are silent or contradict each other, the default is an assumption.
    """

    env_profile: Literal["test", "demo", "prd"] = _switch(
        "test",
        "the environment played; demo and prd refuse self-signed certificates and have no /testdata",
        "ksef-docs srodowiska.md",
    )
    rate_profile: Literal["prd", "te10x", "off", "custom"] = _switch(
        "prd",
        "API rate limits in force where test data set no others; off counts nothing",
        "ksef-docs limity/limity-api.md",
    )
    rate_per_second: int = _switch(
        10, "with rate_profile=custom: calls of one route a second", "ksef-docs limity/limity-api.md"
    )
    rate_per_minute: int = _switch(
        30, "with rate_profile=custom: calls of one route a minute", "ksef-docs limity/limity-api.md"
    )
    rate_per_hour: int = _switch(
        120, "with rate_profile=custom: calls of one route an hour", "ksef-docs limity/limity-api.md"
    )
    api_version: Literal["2.7", "2.9"] = _switch(
        "2.7",
        "2.9 adds to GET /rate-limits and GET /limits/context what clients made for it insist on",
        "ksef-docs api-changelog.md",
    )
    retry_after_escalation: Literal["double", "fixed"] = _switch(
        "double",
        "how long a call too many blocks: 30 s, twice as long with each repeat up to an hour; or always 30 s",
        "ksef-docs limity/limity-api.md",
    )
    error_format_default: Literal["legacy", "problem"] = _switch(
        "legacy", "form of a 400 or 429 when the client does not ask for one", "ksef-docs api-changelog.md"
    )
    challenge_ttl_s: int = _switch(600, "seconds a challenge lives", "ksef-docs uwierzytelnianie.md")
    challenge_single_use: bool = _switch(True, "a challenge works for one sign-in only", "not documented")
    token_ttl_auth_s: int = _switch(2700, "seconds an authentication token lives", "ksef-api issue 187")
    token_ttl_access_s: int = _switch(900, "seconds an access token lives", "ksef-api issue 125")
    token_ttl_refresh_s: int = _switch(604800, "seconds a refresh token lives", "ksef-api issue 336")
    auth_delay_ms: int = _switch(500, "milliseconds a sign-in stays at status 100", "not documented")
    enroll_delay_ms: int = _switch(2000, "milliseconds a certificate request stays at status 100", "not documented")
    revoke_delay_ms: int = _switch(
        2000, "milliseconds a certificate stays Blocked before it is Revoked", "ksef-api issue 209"
    )
    perm_delay_ms: int = _switch(
        1000,
        "milliseconds a permission operation stays at status 100, a KSeF token Pending or Revoking",
        "not documented",
    )
    testdata_delay_ms: int = _switch(
        0, "milliseconds until persons and permissions of /testdata take effect", "not documented"
    )
    xades_compliance: Literal["enforce", "warn", "off"] = _switch(
        "enforce", "what happens to a signature outside the accepted XAdES profiles", "ksef-docs auth/podpis-xades.md"
    )
    accept_auth_schema: Literal["2.0,2.1", "2.0"] = _switch(
        "2.0,2.1", "accepted AuthTokenRequest schemas", "ksef-docs auth/schemy/schemat_auth_v2-1.xsd"
    )
    offline_cert_login: Literal["21115", "460"] = _switch(
        "21115",
        "answer to a sign-in with an Offline certificate: refused at once, or by status",
        "ksef-docs certyfikaty-KSeF.md",
    )
    chain_fail_on_test: Literal["460", "21115"] = _switch(
        "460",
        "answer to verifyCertificateChain=true with a self-signed certificate",
        "spec 2.7.0 POST /auth/xades-signature",
    )
    send_authentication_method: bool = _switch(
        True, "answers still carry the deprecated authenticationMethod", "spec 2.7.0 GET /auth/{referenceNumber}"
    )
    enrollment_window: Literal["rolling", "fixed_from_first", "until_30d_after_last", "lifetime"] = _switch(
        "rolling", "when a spent certificate request comes back", "ksef-api issue 188"
    )
    enrollment_window_days: int = _switch(30, "length of that window in days of 24 hours", "ksef-api issue 411")
    count_sync_rejected: bool = _switch(False, "a request refused with HTTP 400 for its CSR is spent", "not documented")
    count_async_rejected: bool = _switch(
        True, "a request accepted and later rejected or cancelled is spent", "not documented"
    )
    pending_reserves_slot: bool = _switch(False, "a request in progress holds a certificate slot", "not documented")
    limit_code_priority: Literal["25006", "25007"] = _switch(
        "25006", "code given when both limits are reached", "not documented"
    )
    active_grace_days: int = _switch(
        0, "certificates in their last days that no longer hold a slot", "ksef-api issue 411"
    )
    max_valid_from_days: int = _switch(
        90, "how far ahead validFrom may lie, in days; 0 for no bound", "ksef-api issue 480"
    )
    allow_same_subject_key_reuse: bool = _switch(
        True,
        "a subject may certify one key more than once",
        "spec 2.7.0 GET /certificates/enrollments/{referenceNumber}",
    )
    fingerprint_enrollment: Literal["allowed", "25001"] = _switch(
        "allowed", "whether a fingerprint identity gets enrollment data and certificates", "ksef-api issue 471"
    )
    retrieve_unknown: Literal["error", "omit"] = _switch(
        "error", "retrieving an unknown or foreign serial: 25008, or left out of the answer", "not documented"
    )
    nip_pesel_link_scope: Literal["revoke", "revoke+query", "revoke+query+limits"] = _switch(
        "revoke", "what a NIP and the PESEL linked to it share", "ksef-api issue 469"
    )
    strip_cn_suffix_in_data: bool = _switch(
        True, "enrollment data of a KSeF certificate come without the suffix of its common name", "not documented"
    )
    token_session_on_certificates: Literal["codes", "403"] = _switch(
        "codes",
        "a KSeF token session on certificates: data 25001, enrollment 25002 and revoke 403; or 403 always",
        "spec 2.7.0 POST /certificates/{certificateSerialNumber}/revoke",
    )
    fault_injection: Literal["none", "mild", "hostile"] = _switch(
        "none", "profile of faults in force; docs/sandbox.md shows what each does", "not documented"
    )

    def set(self, name: str, value: SwitchValue) -> None:
        """Set one switch; text is parsed by the switch's type.

        Raises:
            SwitchError: there is no such switch or it does not take this value.
        """
        setattr(self, name, parse(name, value))

    def set_all(self, values: Mapping[str, SwitchValue]) -> None:
        """Set several or, when one is wrong, none."""
        parsed = {name: parse(name, value) for name, value in values.items()}
        for name, value in parsed.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, SwitchValue]:
        return {switch.name: getattr(self, switch.name) for switch in fields(self)}


@dataclass(frozen=True)
class SwitchInfo:
    """One line of `ksef-sandbox switches`."""

    name: str
    kind: Literal["bool", "int", "choice"]
    default: SwitchValue
    alternatives: tuple[str, ...]
    meaning: str
    source: str


def registry() -> tuple[SwitchInfo, ...]:
    """Every switch there is, in the order they are declared."""
    return tuple(_REGISTRY.values())


def parse(name: str, value: SwitchValue) -> SwitchValue:
    """Return `value` as the switch `name` keeps it, or raise SwitchError."""
    info = _REGISTRY.get(name)
    if info is None:
        close = difflib.get_close_matches(name, _REGISTRY, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else " `ksef-sandbox switches` lists them all."
        raise SwitchError(f"There is no switch {name!r}.{hint}")
    text = str(value).strip()
    if info.kind == "bool" and text.lower() in _BOOLEANS:
        return _BOOLEANS[text.lower()]
    if info.kind == "int" and not isinstance(value, bool) and _is_number(text) and int(text) <= _highest(name):
        return int(text)
    if info.kind == "choice" and text in (info.default, *info.alternatives):
        return text
    raise SwitchError(f"The switch {name!r} takes {_expected(info)}, not {value!r}.")


_BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _expected(info: SwitchInfo) -> str:
    if info.kind == "choice":
        return "one of " + ", ".join([str(info.default), *info.alternatives])
    return "true or false" if info.kind == "bool" else f"a whole number from 0 to {_highest(info.name)}"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(max(_HIGHEST.values())))


def _highest(name: str) -> int:
    """A hundred years in the unit that the name ends with: more than that could carry dates out of the calendar."""
    return _HIGHEST.get(name.rpartition("_")[2], _HIGHEST["s"])


_HIGHEST = {"ms": 36_500 * 86_400_000, "s": 36_500 * 86_400, "days": 36_500}


def _read_registry() -> dict[str, SwitchInfo]:
    hints = get_type_hints(Switches)
    infos: dict[str, SwitchInfo] = {}
    defaults = Switches().as_dict()
    for switch in fields(Switches):
        default = defaults[switch.name]
        hint = hints[switch.name]
        choices = tuple(c for c in get_args(hint) if c != default) if get_origin(hint) is Literal else ()
        kind: Literal["bool", "int", "choice"] = "choice" if choices else "bool" if hint is bool else "int"
        alternatives = (str(not default).lower(),) if kind == "bool" else choices
        meaning, source = switch.metadata["meaning"], switch.metadata["source"]
        infos[switch.name] = SwitchInfo(switch.name, kind, default, alternatives, meaning, source)
    return infos


_REGISTRY = _read_registry()
