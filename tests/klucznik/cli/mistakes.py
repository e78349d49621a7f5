"""Mistakes of a person: words on the command line, files, certificates. Troubles around them are in `troubles`."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.klucznik.cli.scenes import NIP, OTHER_NIP, PASSWORD, Firm, Scene, done
from tests.klucznik.keys import builders
from tests.sandbox.signing import auth_token_request, make_seal, sign

Given = Callable[[Scene], list[str]]
WRONG_PASSWORD = "zle-haslo-0b1c"
UNKNOWN_SERIAL = "01AAAAAAAAAAAAAA"


@dataclass(frozen=True)
class Row:
    """One mistake.

    Attributes:
        given: makes the situation and says what is typed; ``--home`` and the sandbox's address are added where missing.
        pl, en: a part of the sentence that no other mistake has.
        variables: environment variables.
    """

    name: str
    given: Given
    reason: str
    pl: str
    en: str
    code: int = 2
    variables: dict[str, str] = field(default_factory=dict)


def typed(*arguments: str) -> Given:
    return lambda _: list(arguments)


def signing(cert: str, key: str | None, *more: str, nip: str = NIP) -> list[str]:
    return ["issue", "--nip", nip, "--cert", cert, *(("--key", key) if key else ()), *more]


def files(cert: bytes | None, key: bytes | None) -> Given:
    """Two files; None: that file is a good one."""

    def given(scene: Scene) -> list[str]:
        good_cert, good_key = scene.seal()
        return signing(
            good_cert if cert is None else scene.put("given.crt", cert),
            good_key if key is None else scene.put("given.key", key),
        )

    return given


def locked(*more: str) -> Given:
    def given(scene: Scene) -> list[str]:
        cert, _ = scene.seal()
        return signing(cert, scene.put("locked.key", builders.key_pem(password=PASSWORD.encode())), *more)

    return given


def pkcs12(content: Callable[[Scene], str], *more: str) -> Given:
    return lambda scene: ["issue", "--nip", NIP, "--p12", content(scene), *more]


def swapped(scene: Scene) -> list[str]:
    cert, key = scene.seal()
    return signing(key, cert)


def both_kinds(scene: Scene) -> list[str]:
    return [*signing(*scene.seal()), "--p12", scene.p12()]


def certificate_request() -> bytes:
    request = x509.CertificateSigningRequestBuilder().subject_name(builders.name_of(builders.SEAL))
    return request.sign(builders.ec_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


def public_key() -> bytes:
    return builders.ec_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def damaged_p12(scene: Scene) -> str:
    whole = Path(scene.p12()).read_bytes()
    return scene.put("damaged.p12", whole[: len(whole) // 2])


def aged(first: int, last: int) -> Given:
    return lambda scene: signing(*scene.seal(days=(first, last)))


def exported(which: Callable[[Firm], Path], command: str = "issue", *, at_home: bool = False) -> Given:
    """A certificate that KSeF issued to the firm, in files, as something to sign in with."""

    def given(scene: Scene) -> list[str]:
        if at_home:
            scene.furnish()
        stem = which(scene.firm)
        return [command, "--nip", NIP, "--cert", f"{stem}.crt", "--key", f"{stem}.key", *WITH_PASSWORD]

    return given


WITH_PASSWORD = ("--key-password-env", "KEY_PASSWORD")


def at_home(given: Given, *, with_pair: bool = False) -> Given:
    """The same in an installation that exists."""

    def furnished(scene: Scene) -> list[str]:
        scene.furnish(with_pair=with_pair)
        return given(scene)

    return furnished


def self_signed_in(environment: str) -> Given:
    return lambda scene: [*signing(*scene.seal()), "--env", environment]


def importing(pair: Callable[[Scene], tuple[str, str]], *more: str) -> Given:
    def given(scene: Scene) -> list[str]:
        cert, key = pair(scene)
        return ["import", "--cert", cert, "--key", key, *more]

    return given


def of_the_pair(scene: Scene) -> tuple[str, str]:
    return f"{scene.firm.authentication}.crt", f"{scene.firm.authentication}.key"


def there_already(scene: Scene) -> list[str]:
    scene.put("credential.key", b"already here")
    return ["test-credential", "--nip", NIP, "--out", str(scene.base)]


def revoking(serial: Callable[[Firm], str], *more: str) -> Given:
    def given(scene: Scene) -> list[str]:
        return [
            "revoke",
            serial(scene.firm),
            "--nip",
            NIP,
            "--cert",
            f"{scene.firm.seal}.crt",
            "--key",
            f"{scene.firm.seal}.key",
            *more,
        ]

    return given


def exporting(*more: str, password: str | None = "KEY_PASSWORD") -> Given:  # noqa: S107
    named = () if password is None else ("--password-env", password)
    return lambda scene: ["export", "--out", str(scene.base / "out"), *named, *more]


def ended(command: str) -> Given:
    """The command, for an issuance that has ended."""

    def given(scene: Scene) -> list[str]:
        scene.furnish(with_pair=True)
        return [command, _issuances(scene)[0]]

    return given


def _issuances(scene: Scene) -> list[str]:
    listed = done("status", "--home", scene.home, "--json").data["issuances"]
    assert isinstance(listed, list)
    return [one["id"] for one in listed]


def _ordered(scene: Scene, nip: str) -> None:
    cert, key = scene.seal(nip=nip, name=nip)
    order = ("issue", "--detach", "--nip", nip, "--cert", cert, "--key", key)
    done(*order, "--home", scene.home, "--ksef-url", scene.ksef.base_url)


def another_subject(scene: Scene) -> list[str]:
    _ordered(scene, NIP)
    cert, key = scene.seal(nip=OTHER_NIP)
    return ["resume", _issuances(scene)[0], "--cert", cert, "--key", key]


def two_of_one_beginning(scene: Scene) -> list[str]:
    for nip in (NIP, OTHER_NIP):
        _ordered(scene, nip)
    with closing(sqlite3.connect(scene.home / "klucznik.db")) as database, database:
        database.execute("UPDATE issuances SET id = 'abcdef' || substr(id, 7)")
        database.execute("UPDATE logins SET issuance_id = 'abcdef' || substr(issuance_id, 7)")
    return ["status", "abcdef"]


def port_of_ksef(scene: Scene) -> list[str]:
    return ["worker", "--metrics-port", str(urlsplit(scene.ksef.base_url).port)]


def for_nip(text: str) -> Given:
    return lambda scene: signing(*scene.seal(), nip=text)


USAGE = (
    Row("an unknown command", typed("isue"), "usage", "polecenia „isue”", 'no command "isue"'),
    Row("an unknown option", typed("limits", "--nop"), "usage", "Nie ma opcji --nop", "no option --nop"),
    Row("a missing option", typed("issue"), "usage", "Brakuje --nip", "--nip is missing"),
    Row("a missing argument", typed("revoke", "--nip", NIP), "usage", "Brakuje NUMER", "SERIAL is missing"),
    Row(
        "an option without its value",
        typed("limits", "--home", "h", "--nip"),
        "usage",
        "--nip potrzebuje",
        "--nip needs a value",
    ),
    Row("a word too many", typed("limits", "x", "--nip", NIP), "usage", "nie da się odczytać", "cannot be read"),
    Row("a bad key type", typed("issue", "--nip", NIP, "--key-type", "dsa"), "usage", "możliwe: ec, rsa", "ec, rsa"),
    Row("an unknown environment", typed("certificates", "--env", "prod"), "environment_unknown", "„prod”", '"prod"'),
    Row(
        "a bad reason",
        revoking(lambda _: UNKNOWN_SERIAL, "--reason", "Lost"),
        "revocation_reason_unknown",
        "Lost",
        "Lost",
    ),
    Row("a serial number that is none", revoking(lambda _: "12-34"), "serial_malformed", "„12-34”", '"12-34"'),
    Row("a bad export format", exporting("--nip", NIP, "--format", "jks"), "export_format_unknown", "jks", "jks"),
    Row("an export of neither", exporting(), "export_needs_nip_or_serial", "--nip", "--nip"),
    Row(
        "an export of both",
        exporting("--nip", NIP, "--serial", UNKNOWN_SERIAL),
        "export_needs_nip_or_serial",
        "--serial",
        "--serial",
    ),
    Row(
        "a credential without a company",
        lambda s: ["certificates", "--cert", s.seal()[0]],
        "key_not_given",
        "klucz",
        "key",
    ),
    Row(
        "a test credential for nobody",
        typed("test-credential", "--out", "out"),
        "test_credential_needs_nip_or_pesel",
        "--pesel",
        "--pesel",
    ),
    Row(
        "a test credential for both",
        typed("test-credential", "--out", "out", "--nip", NIP, "--pesel", "80010112340"),
        "test_credential_needs_nip_or_pesel",
        "--pesel",
        "--pesel",
    ),
    Row(
        "a test credential for production",
        typed("test-credential", "--out", "out", "--nip", NIP, "--env", "production"),
        "test_credential_refused",
        "production",
        "production",
    ),
    Row(
        "a malformed PESEL",
        typed("test-credential", "--out", "out", "--pesel", "80130112340"),
        "pesel_malformed",
        "„80130112340”",
        '"80130112340"',
    ),
    Row(
        "a hook that is not there",
        at_home(typed("after-renewal", "--nip", NIP, "--hook", "/no/such/hook"), with_pair=True),
        "hook_missing",
        "/no/such/hook",
        "/no/such/hook",
    ),
    Row(
        "a hook that others can change",
        at_home(typed("after-renewal", "--nip", NIP, "--hook", "/tmp"), with_pair=True),  # noqa: S108
        "hook_untrusted",
        "/tmp",  # noqa: S108
        "/tmp",  # noqa: S108
    ),
    Row(
        "a hook and none",
        typed("after-renewal", "--nip", NIP, "--hook", "/bin/true", "--no-hook"),
        "after_renewal_contradicts_itself",
        "--no-hook",
        "--no-hook",
    ),
    Row("a renewal of nobody", typed("renew"), "renew_needs_nip_or_all", "--all", "--all"),
    Row("a renewal of one and all", typed("renew", "--nip", NIP, "--all"), "renew_needs_nip_or_all", "--nip", "--nip"),
    Row("all renewed before their time", typed("renew", "--all", "--force"), "renew_force_needs_nip", "--nip", "--nip"),
    Row(
        "a renewal of what is not there",
        at_home(typed("renew", "--nip", OTHER_NIP)),
        "renew_nothing_held",
        OTHER_NIP,
        OTHER_NIP,
    ),
    Row("a test credential over a file", there_already, "file_exists", "credential.key", "credential.key"),
)


def sealed_by(scene: Scene) -> list[str]:
    """The seal of the firm."""
    cert, key = scene.seal()
    return ["--cert", cert, "--key", key]


PERMISSIONS = (
    Row(
        "nobody is the operator", at_home(typed("operator", "show")), "operator_not_set", "Nie ustawiono", "is not set"
    ),
    Row(
        "a grant to nobody",
        at_home(lambda s: ["grant", "--nip", NIP, *sealed_by(s)]),
        "operator_not_set",
        "Nie ustawiono",
        "is not set",
    ),
    Row(
        "a name that is too short",
        lambda s: ["operator", "set", "--nip", NIP, "--name", "ABC", *sealed_by(s)],
        "entity_name_malformed",
        "od 5 do 90",
        "5 to 90",
    ),
    Row(
        "the operator's NIP mistyped",
        typed("operator", "set", "--nip", "123", "--name", "Biuro"),
        "nip_malformed",
        "123",
        "123",
    ),
    Row(
        "an operator with the seal of another",
        at_home(lambda s: ["operator", "set", "--nip", OTHER_NIP, "--name", "Biuro", *sealed_by(s)]),
        "operator_credential_of_other",
        f"NIP {OTHER_NIP}",
        f"NIP {OTHER_NIP}",
    ),
    Row(
        "a grant and its withdrawal at once",
        typed("grant", "--nip", NIP, "--delegate", "--withdraw"),
        "grant_one_thing_at_a_time",
        "podaj jedną",
        "give one",
    ),
    Row(
        "a certificate for what is done by hand",
        lambda s: ["grant", "--nip", NIP, "--by-hand", *sealed_by(s)],
        "by_hand_needs_no_credential",
        "zbędny",
        "no use",
    ),
    Row("nothing to verify", typed("verify"), "verify_needs_nip_or_all", "--all", "--all"),
    Row("one and all to verify", typed("verify", NIP, "--all"), "verify_needs_nip_or_all", "--all", "--all"),
    Row("a NIP to verify that is none", typed("verify", "123"), "nip_malformed", "123", "123"),
    Row(
        "a company to verify that is not connected",
        at_home(typed("verify", NIP)),
        "not_connected",
        "nie jest tu połączona",
        "not connected here",
    ),
)


def connecting(*more: str) -> list[str]:
    return ["connect", "--nip", NIP, *more]


TOKEN = {"KSEF_TOKEN": "20250625-EC-20F5EE4000-DA48AE4124-46|nip-7762811692|" + "a1" * 32}

CONNECTIONS = (
    Row("nothing is connected", at_home(typed("connections", NIP)), "not_connected", "nie jest tu", "not connected"),
    Row(
        "nothing to disconnect",
        at_home(typed("disconnect", "--nip", NIP, "--yes")),
        "not_connected",
        "nie jest tu",
        "not connected",
    ),
    Row(
        "an empty vault to connect with",
        at_home(lambda _: connecting()),
        "no_pair_to_connect",
        "nie ma ważnego",
        "no valid certificate",
    ),
    Row(
        "somebody else's serial number",
        at_home(lambda _: connecting("--serial", UNKNOWN_SERIAL)),
        "certificate_not_held",
        UNKNOWN_SERIAL,
        UNKNOWN_SERIAL,
    ),
    Row(
        "files for what is in the vault",
        lambda s: connecting("--method", "certificates", *sealed_by(s)),
        "certificates_need_no_files",
        "podano pliki",
        "files were given",
    ),
    Row(
        "an import without files",
        lambda _: connecting("--method", "imported"),
        "imported_needs_files",
        "Nie podano certyfikatów",
        "No certificates",
    ),
    Row(
        "an import of what KSeF did not issue",
        lambda s: connecting(*sealed_by(s)),
        "certificate_not_from_ksef",
        "nie wydał KSeF",
        "not issued by KSeF",
    ),
    Row(
        "a certificate of production for the sandbox",
        lambda s: ["connect", *signing(*s.from_issuer("CCK KSeF", "authentication"))[1:]],
        "certificate_of_other_environment",
        "production",
        "production",
    ),
    Row(
        "no token",
        lambda _: connecting("--method", "token"),
        "ksef_token_missing",
        "Nie podano tokenu",
        "No KSeF token",
    ),
    Row(
        "a password in place of a token",
        lambda _: connecting("--token-env", "KEY_PASSWORD"),
        "ksef_token_malformed",
        "nie wygląda na token",
        "not look like a KSeF token",
    ),
    Row(
        "a token of another company",
        at_home(lambda _: connecting("--token-env", "KSEF_TOKEN")),
        "ksef_token_of_other_company",
        OTHER_NIP,
        OTHER_NIP,
        variables=TOKEN,
    ),
    Row(
        "a token that KSeF does not know",
        at_home(lambda _: ["connect", "--nip", OTHER_NIP, "--token-env", "KSEF_TOKEN"]),
        "sign_in_refused",
        "token",
        "token",
        code=4,
        variables=TOKEN,
    ),
    Row(
        "a name of nothing",
        lambda _: connecting("--name", "  "),
        "connection_name_malformed",
        "od 1 do 100",
        "1 to 100",
    ),
    Row(
        "a method that there is not",
        lambda _: connecting("--method", "fax"),
        "usage",
        "--method",
        "--method",
    ),
    Row(
        "a program without a name",
        at_home(lambda s: ["export", "--nip", NIP, "--out", str(s.base / "out"), "--for", " "]),
        "program_name_malformed",
        "od 1 do 64",
        "1 to 64",
    ),
)

ISSUANCES = (
    *(
        Row(f"an id to {command} that is none", at_home(typed(command, "moje")), "issuance_unknown", "moje", "moje")
        for command in ("status", "resume", "cancel")
    ),
    Row("an id that nobody has", at_home(typed("status", "abcdef12")), "issuance_unknown", "abcdef12", "abcdef12"),
    Row("a beginning that two ids have", two_of_one_beginning, "issuance_ambiguous", "abcdef", "abcdef"),
    Row("an ended issuance to resume", ended("resume"), "issuance_ended", "gotowe", "done"),
    Row("an ended issuance to cancel", ended("cancel"), "issuance_ended", "gotowe", "done"),
    Row(
        "a credential of somebody else to resume with",
        another_subject,
        "credential_of_other_subject",
        f"NIP {OTHER_NIP}",
        f"NIP {OTHER_NIP}",
    ),
    Row("a port that is taken", port_of_ksef, "port_taken", "nasłuchuje już", "else listens"),
    Row(
        "an address of another machine",
        typed("worker", "--metrics-port", "0", "--metrics-host", "192.0.2.1"),
        "host_unknown",
        "192.0.2.1",
        "192.0.2.1",
    ),
    Row("a port that is none", typed("worker", "--metrics-port", "70000"), "usage", "--metrics-port", "--metrics-port"),
    Row("a bad form of the log", typed("worker", "--log-format", "xml"), "usage", "json, text", "json, text"),
    Row(
        "a bad level of the log",
        typed("worker"),
        "usage",
        "debug, info, warning, error",
        "debug, info, warning, error",
        variables={"KLUCZNIK_LOG_LEVEL": "loud"},
    ),
)


def unsigned(scene: Scene) -> list[str]:
    """The document itself, chosen in the place of its signed form."""
    file = str(scene.base / "wniosek.xml")
    done("issue", "--nip", NIP, "--external", "--out", file, *at_scene(scene))
    return ["sign", file, *at_scene(scene)]


def at_scene(scene: Scene) -> tuple[str, ...]:
    return (
        "--home",
        str(scene.furnish() if not scene.home.exists() else scene.home),
        "--ksef-url",
        scene.ksef.base_url,
    )


def signed_for_another() -> bytes:
    """A document of another installation, well signed."""
    return sign(auth_token_request("20250625-CR-20F5EE4000-DA48AE4124-46", nip=NIP), make_seal(nip=NIP))


SIGNATURES = (
    Row(
        "a key for what is signed elsewhere",
        lambda s: [*signing(*s.seal()), "--external"],
        "external_and_credential",
        "wykluczają się",
        "exclude each other",
    ),
    Row(
        "a file to sign without a signature from elsewhere",
        typed("issue", "--nip", NIP, "--out", "wniosek.xml"),
        "out_needs_external",
        "tylko z --external",
        "only with --external",
    ),
    Row("no file to hand in", typed("sign", "nie-ma.xml"), "file_missing", "nie-ma.xml", "nie-ma.xml"),
    Row("a PDF handed in", lambda s: ["sign", s.put("w.pdf", b"%PDF-1.7")], "signed_is_pdf", "PAdES", "PAdES"),
    Row("an unsigned document handed in", unsigned, "signed_not_signed", "nie ma podpisu", "no signature"),
    Row(
        "a document that nobody asked for",
        lambda s: ["sign", s.put("w.xml", signed_for_another()), *at_scene(s)],
        "signature_request_unknown",
        "czeka na podpis",
        "waits for a signature here fits",
    ),
)


NIPS = tuple(
    Row(f"the NIP {text!r}", for_nip(text), "nip_malformed", "numerem NIP", "NIP")
    for text in ("", "abc", "526587763", "52658776355", "0265877635", "5005877635", "DE526587763", "٥٢٦٥٨٧٧٦٣٥")
)

FILES = (
    Row("no password", locked(), "password_needed", "hasł", "password"),
    Row(
        "a wrong password",
        locked(*WITH_PASSWORD),
        "password_wrong",
        "Hasło",
        "password",
        variables={"KEY_PASSWORD": WRONG_PASSWORD},
    ),
    Row(
        "an empty password",
        locked(*WITH_PASSWORD),
        "password_needed",
        "hasł",
        "password",
        variables={"KEY_PASSWORD": ""},
    ),
    Row(
        "a password variable that is not set",
        locked("--key-password-env", "NOBODY"),
        "environment_variable_missing",
        "NOBODY",
        "NOBODY",
    ),
    Row(
        "a key of another certificate",
        files(None, builders.key_pem(builders.other_key())),
        "key_does_not_match",
        "nie pasuje",
        "does not",
    ),
    Row("swapped files", swapped, "certificate_and_key_swapped", "zamien", "swapped"),
    Row(
        "garbage for a certificate",
        files(b"\x00\x01\x02garbage" * 99, None),
        "not_a_certificate",
        "given.crt",
        "given.crt",
    ),
    Row("garbage for a key", files(None, b"\x00\x01\x02garbage" * 99), "not_a_key", "given.key", "given.key"),
    Row("an empty certificate", files(b"", None), "file_empty", "pust", "empty"),
    Row("an empty key", files(None, b" \n"), "file_empty", "pust", "empty"),
    Row(
        "a directory for a certificate",
        lambda s: signing(str(s.base), s.seal()[1]),
        "file_is_directory",
        "katalog",
        "directory",
    ),
    Row(
        "a missing certificate",
        lambda s: signing("nie-ma.crt", s.seal()[1]),
        "file_missing",
        "nie-ma.crt",
        "nie-ma.crt",
    ),
    Row("a missing key", lambda s: signing(s.seal()[0], "nie-ma.key"), "file_missing", "nie-ma.key", "nie-ma.key"),
    Row("no key at all", lambda s: signing(s.seal()[0], None), "key_not_given", "klucz", "key"),
    Row(
        "no certificate",
        lambda s: ["issue", "--nip", NIP, "--key", s.seal()[1]],
        "certificate_not_given",
        "certyfikat",
        "certificate",
    ),
    Row("a huge file", files(b"x" * 1_100_000, None), "file_too_big", "given.crt", "given.crt"),
    Row(
        "a web page for a certificate",
        files(b"<!DOCTYPE html><html></html>", None),
        "not_a_certificate",
        "strona HTML",
        "HTML page",
    ),
    Row("a request for a certificate", files(certificate_request(), None), "not_a_certificate", "(CSR)", "(CSR)"),
    Row("a public key for a key", files(None, public_key()), "not_a_key", "klucz publiczny", "public key"),
    Row(
        "half a certificate",
        files(builders.pem(builders.certificate())[:300], None),
        "not_a_certificate",
        "ucięty",
        "truncated",
    ),
    Row(
        "a PKCS#12 with a wrong password",
        pkcs12(Scene.p12, *WITH_PASSWORD),
        "password_wrong",
        "Hasło",
        "password",
        variables={"KEY_PASSWORD": WRONG_PASSWORD},
    ),
    Row("a PKCS#12 without a password", pkcs12(Scene.p12), "password_needed", "hasł", "password"),
    Row(
        "a PKCS#12 without a key",
        pkcs12(lambda s: s.p12(key=False), *WITH_PASSWORD),
        "pkcs12_without_key",
        "klucz",
        "key",
    ),
    Row("a damaged PKCS#12", pkcs12(damaged_p12, *WITH_PASSWORD), "pkcs12_damaged", "uszkodzon", "damaged"),
    Row("a PEM for a PKCS#12", pkcs12(lambda s: s.seal()[0]), "not_a_pkcs12", "PKCS#12", "PKCS#12"),
    Row("a PKCS#12 and two files", both_kinds, "credential_given_twice", "nie wiadomo", "unclear"),
)

CREDENTIALS = (
    Row("an expired certificate", aged(-400, -1), "certificate_expired", "wygasł", "expired"),
    Row("a certificate of tomorrow", aged(1, 400), "certificate_not_yet_valid", "dopiero od", "valid only from"),
    Row(
        "an Offline certificate",
        exported(lambda firm: firm.offline),
        "offline_certificate_cannot_sign_in",
        "offline",
        "Offline",
    ),
    Row(
        "a certificate of TEST in the sandbox",
        lambda s: signing(*s.from_issuer("TEST CCK KSeF", "authentication")),
        "certificate_of_other_environment",
        "test",
        "test",
    ),
    Row(
        "a certificate of production in TEST",
        lambda s: [*signing(*s.from_issuer("CCK KSeF", "authentication")), "--env", "test"],
        "certificate_of_other_environment",
        "production",
        "production",
    ),
    Row(
        "a self-signed one in production",
        self_signed_in("production"),
        "self_signed_not_accepted",
        "samopodpisan",
        "self-signed",
    ),
    Row("a self-signed one in demo", self_signed_in("demo"), "self_signed_not_accepted", "samopodpisan", "self-signed"),
    Row(
        "nothing to sign in with",
        at_home(typed("issue", "--nip", NIP)),
        "no_credential",
        "Nie wiadomo, czym",
        "sign in",
    ),
    Row("the import of a seal", importing(Scene.seal), "certificate_not_from_ksef", "KSeF", "KSeF"),
    Row(
        "the import of another environment",
        importing(lambda s: s.from_issuer("TEST CCK KSeF", "authentication")),
        "certificate_of_other_environment",
        "test",
        "test",
    ),
    Row(
        "the import of an unclear type",
        importing(lambda s: s.from_issuer("SANDBOX CCK KSeF sandbox", "both")),
        "certificate_type_unclear",
        "rodzaj",
        "type",
    ),
    Row("the import of nothing", typed("import"), "credential_not_given", "Nie podano", "No certificate"),
    Row(
        "the import of what is held",
        at_home(importing(of_the_pair, *WITH_PASSWORD), with_pair=True),
        "certificate_already_held",
        "już",
        "already",
    ),
)
