"""What was killed in the tests of the product, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


_KILLS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def kill_table(request: pytest.FixtureRequest) -> list[str]:
    """What was killed and what became of it; shown at the end of the run."""
    return request.config.stash.setdefault(_KILLS, [])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where several processes share the tests, the first one is told by the one that had these."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["kills"] = session.config.stash.get(_KILLS, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Hear what the other process has killed."""
    node.config.stash.setdefault(_KILLS, []).extend(getattr(node, "workeroutput", {}).get("kills", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Show the kill table."""
    for row in config.stash.get(_KILLS, []):
        terminalreporter.write_line(f"killed: {row}")
