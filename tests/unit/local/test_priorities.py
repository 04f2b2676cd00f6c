"""Which processes leave the processor to requests, in `make run` and in Compose."""

from __future__ import annotations

import yaml

from deploy.local.product import WORKERS, programs
from deploy.local.tools import PROJECT


def yielding(*, workers_yield: bool) -> set[str]:
    return {each.name for each in programs(workers_yield=workers_yield) if each.command[0] == "nice"}


def test_workers_yield_but_for_the_one_that_follows_clicks() -> None:
    assert yielding(workers_yield=True) == {f"{each}-worker" for each in WORKERS} - {"recommender-worker"}
    assert yielding(workers_yield=False) == set()


def test_compose_gives_the_same_processes_a_smaller_share() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]

    shares = {name: service["cpu_shares"] for name, service in services.items() if "cpu_shares" in service}

    assert shares == dict.fromkeys(yielding(workers_yield=True), 102)
