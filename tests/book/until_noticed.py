"""A plugin for pytest: the run ends with the first failure that says the words of UNTIL_NOTICED."""

import os

import pytest


class UntilNoticed:
    """Ends a run of tests as soon as the words are said; all later tests are left out."""

    def __init__(self, words: str) -> None:
        self.words, self.session = words, None

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and self.words in report.longreprtext:
            self.session.shouldstop = f"noticed: {self.words}"


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin."""
    config.pluginmanager.register(UntilNoticed(os.environ["UNTIL_NOTICED"]))
