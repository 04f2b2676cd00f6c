"""Which processes leave the processor to requests, in `make run` and in Compose."""

from __future__ import annotations

import yaml

from deploy.local.product import WORKERS, programs
from deploy.local.tools import PROJECT


def low_priority(*, low_priority_workers: bool) -> set[str]:
    return {
        each.name for each in programs(low_priority_workers=low_priority_workers) if each.command[0] == "nice"
    }


def test_workers_have_a_low_priority_but_for_the_one_that_follows_clicks() -> None:
    assert low_priority(low_priority_workers=True) == {f"{each}-worker" for each in WORKERS} - {
        "recommender-worker"
    }
    assert low_priority(low_priority_workers=False) == set()


def test_compose_gives_the_same_processes_a_smaller_share() -> None:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"]

    shares = {name: service["cpu_shares"] for name, service in services.items() if "cpu_shares" in service}

    assert shares == dict.fromkeys(low_priority(low_priority_workers=True), 102)
