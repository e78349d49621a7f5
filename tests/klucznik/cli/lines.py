"""Pieces of command lines, and of the objects they print. Where they run is in `scenes`."""

from tests.klucznik.cli.scenes import NIP, Scene

COMMANDS = (
    "limits",
    "issue",
    "status",
    "resume",
    "cancel",
    "worker",
    "renew",
    "after-renewal",
    "certificates",
    "revoke",
    "export",
    "import",
    "test-credential",
    "demo",
    "version",
    "connect",
    "connections",
    "disconnect",
    "doctor",
    "backup",
    "restore",
    "reconcile",
    "audit verify",
    "audit export",
    "grant",
    "verify",
    "operator set",
    "operator show",
    "api-key add",
    "api-key list",
    "api-key rotate",
    "api-key revoke",
    "user list",
    "user link",
)


def at(scene: Scene) -> tuple[str, ...]:
    return ("--home", str(scene.home), "--ksef-url", scene.ksef.base_url)


def seal(scene: Scene) -> tuple[str, ...]:
    return ("--nip", NIP, "--cert", f"{scene.firm.seal}.crt", "--key", f"{scene.firm.seal}.key")


def part(data: object, *path: str) -> dict[str, object]:
    """An object inside an object."""
    for name in path:
        assert isinstance(data, dict)
        data = data[name]
    assert isinstance(data, dict)
    return data


def listed(data: dict[str, object], name: str = "certificates") -> list[dict[str, object]]:
    found = data[name]
    assert isinstance(found, list)
    return found
