"""What a test lacks is said in the skip, and is no excuse where CI is set."""

import pytest
from tests.needs import Need

ABSENT = Need("Nothing", "nothing-at-all", lambda: None)


def test_what_is_absent_skips_the_test_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"Nothing is not installed.*sudo apt-get install nothing-at-all$"):
        ABSENT.here()


def test_what_is_absent_fails_the_test_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install nothing-at-all"):
        ABSENT.here()
