"""A stateful KSeF 2.0 for localhost: sign-in, certificates, limits and test data, for tests and demos.
Not affiliated with the Ministry of Finance; it shares no code with klucznik.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ksef_sandbox.embedded import Sandbox

__all__ = ["Sandbox"]


def __getattr__(name: str) -> object:
    # Lazy: the web framework is loaded by those who serve, not by `ksef-sandbox switches`.
    if name == "Sandbox":
        from ksef_sandbox.embedded import Sandbox

        return Sandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
