"""The simulator through the gateway of the running product: the router counts what the visitors did."""

from __future__ import annotations

import re

import pytest

from services.router.commands.simulate import simulate
from tests.support.product import Endcap


def simulated(
    endcap: Endcap, capsys: pytest.CaptureFixture[str], design: str, visitors: int, *options: str
) -> str:
    """Run a simulation in which the treatment earns twice as much; return its report."""
    address = ["--key", endcap.keys["admin"], "--url", endcap.environment["ENDCAP_URL"]]
    size = ["--visitors", str(visitors), "--rate", "0.3", "--effect", "1"]
    assert simulate([*address, *size, "--design", design, *options]) == 0
    return capsys.readouterr().out


def counts(report: str) -> list[tuple[int, int, int, float]]:
    """Return visitors that were sent and counted, purchases, and the rate, by variant."""
    lines = re.findall(r"^(?:control|treatment) +(\d+) +(\d+) +(\d+) +(\S+)", report, re.MULTILINE)
    return [(int(sent), int(units), int(bought), float(rate)) for sent, units, bought, rate in lines]


def test_a_simulation_counts_what_it_sends(endcap: Endcap, capsys: pytest.CaptureFixture[str]) -> None:
    """300 visitors, of whom 30 or 60 % purchase."""
    report = simulated(endcap, capsys, "split", 300)

    assert sum(sent for sent, *_ in counts(report)) == 300
    for sent, units, bought, rate in counts(report):
        assert sent == units
        assert rate == pytest.approx(bought / units, abs=1e-4)
    assert "relative effect: true +100.0%" in report
