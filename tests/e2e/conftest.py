"""The running product with a shop loaded, trained and served; one for the whole run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from deploy.local.load import load
from deploy.local.shop import write_shop
from tests.support.product import Endcap
from tests.support.shop import Shop

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


@pytest.fixture(scope="session")
def shop(endcap: Endcap) -> Iterator[Shop]:
    """The generated shop, all the way from its files to served recommendations."""
    # A quarter of the shop that `make run` loads: about ten trainings of it are part of these tests.
    folder = write_shop(endcap.stack.root / "shop", customer_count=500)
    load(endcap.stack, folder)
    with Shop(endcap, folder) as loaded:
        yield loaded


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
