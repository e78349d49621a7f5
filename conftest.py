"""Fixtures that tests of every directory share. What they make is made once for each test process."""

pytest_plugins = ["tests.postgresql"]
