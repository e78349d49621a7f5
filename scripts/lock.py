"""Renews both hashed lock files (optional parts included) from pyproject.toml, both or none: `make lock`.
What is locked and why: docs/dependencies.md. Installing from the locks is the Makefile's part.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {
    "requirements.lock": ("build",),
    "requirements-dev.lock": ("build", "dev"),
}


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        fresh = {lock: _compiled(Path(name) / lock, groups) for lock, groups in LOCKS.items()}
    for lock, text in fresh.items():
        addresses = sorted(set(re.findall(r"\S+://\S+|(?m:^-\S+.*)", text)))
        if addresses:
            print(f"{lock} would name an index or an address: {', '.join(addresses)}", file=sys.stderr)
            return 1
    for lock, text in fresh.items():
        (ROOT / lock).write_text(text, encoding="utf-8")
        print(f"{lock}: {len(re.findall(r'(?m)^[a-z0-9]', text))} packages")
    return 0


def _compiled(target: Path, groups: tuple[str, ...]) -> str:
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml"]
    command += [part for group in groups for part in ("--group", group)]
    command += ["--extra", "pkcs11", "--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade"]
    command += ["--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet", "--output-file", str(target)]
    subprocess.run(command, cwd=ROOT, env=_environment(), check=True)
    return target.read_text(encoding="utf-8")


def _environment() -> dict[str, str]:
    """Where pip is told of another index or certificate store, uv is told the same: it does not read pip's settings."""
    ours = dict(os.environ)
    for theirs, setting in (("UV_DEFAULT_INDEX", "global.index-url"), ("SSL_CERT_FILE", "global.cert")):
        said = subprocess.run(
            [sys.executable, "-m", "pip", "config", "get", setting], capture_output=True, text=True, check=False
        )
        if said.returncode == 0 and theirs not in ours:
            ours[theirs] = said.stdout.strip()
    return ours


if __name__ == "__main__":
    sys.exit(main())
