"""How to point the known clients of KSeF at a sandbox: one short text for each, kept in `snippets/`.
Those for curl, Python and TypeScript are run by the tests as they are.
"""

from importlib.resources import files

LANGUAGES = ("curl", "python", "typescript", "csharp", "java")
DEFAULT_ADDRESS = "http://127.0.0.1:8380"


def example(language: str, address: str = DEFAULT_ADDRESS) -> str:
    """The text for one of LANGUAGES; `address` is the sandbox's, without /v2."""
    text = (files("ksef_sandbox") / "snippets" / f"{language}.txt").read_text(encoding="utf-8")
    return text.replace(DEFAULT_ADDRESS, address)
