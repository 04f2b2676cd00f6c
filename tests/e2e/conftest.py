"""Clients of the gateway; and what was killed in the tests of the product, and what became of it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest

from tests.e2e.bursts import make_burst_key
from tests.support.product import Endcap
from tests.support.shop import Shop
from tests.support.waiting import PATIENCE

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController


_KILLS = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def kill_table(request: pytest.FixtureRequest) -> list[str]:
    """What was killed and what became of it; shown at the end of the run."""
    return request.config.stash.setdefault(_KILLS, [])


@pytest.fixture(scope="session")
def burst_key(shop: Shop) -> str:
    """An ingest key of the tenant to which bursts are sent."""
    return make_burst_key(shop)


@pytest.fixture(scope="module")
def aws(endcap: Endcap) -> Iterator[boto3.Session]:
    """A session of boto3 that knows a key pair and one address."""
    variables = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in variables:
            patch.setenv(name, endcap.environment[name])
        patch.setenv("AWS_DEFAULT_REGION", endcap.environment["AWS_REGION"])
        yield boto3.Session()


@pytest.fixture(scope="module")
def client(endcap: Endcap) -> Iterator[httpx.Client]:
    """An HTTP client of the address."""
    with httpx.Client(base_url=endcap.environment["ENDCAP_URL"], timeout=PATIENCE) as http:
        yield http


@pytest.fixture(scope="module")
def bucket(aws: boto3.Session) -> str:
    """A bucket that the client of the gateway created."""
    name = f"gateway-{uuid.uuid4().hex[:8]}"
    aws.client("s3").create_bucket(Bucket=name)
    return name


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
