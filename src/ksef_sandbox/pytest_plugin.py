"""Makes the mark `ksef` known to pytest, for people who forbid unknown marks. Loaded by every pytest run on a machine
that has this package, so it does this and nothing else, and imports nothing that takes time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_configure(config: "pytest.Config") -> None:
    """Register the mark."""
    config.addinivalue_line(
        "markers", "ksef(seed=None, switches={}, ...): arguments for the Sandbox of the fixture `ksef` (ksef-sandbox)"
    )
