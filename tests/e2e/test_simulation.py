"""The simulator through the gateway of the running product: the router counts what the visitors did."""

from __future__ import annotations

import re

import pytest

from services.router.commands.simulate import simulate
from tests.support.product import Endcap
from tests.support.shop import Shop


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


def test_interleaving_credits_each_click_and_finds_the_better_list(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    """150 visitors click the items of the control with 30 %, those of the treatment with 60 %."""
    report = simulated(shop.endcap, capsys, "interleaving", 150)

    credited = re.findall(r"^(?:control|treatment) +(\d+) +(\d+) ", report, re.MULTILINE)
    preferred = re.findall(r"^prefer the \w+: sent (\d+), counted (\d+)$", report, re.MULTILINE)
    assert len(credited) == len(preferred) == 2
    assert all(sent == counted != "0" for sent, counted in credited + preferred)
    assert "finding: better" in report


def test_a_bandit_learns_which_variant_earns_more(endcap: Endcap, capsys: pytest.CaptureFixture[str]) -> None:
    """300 visitors, of whom 30 or 60 % purchase, and whose rewards count for six seconds."""
    report = simulated(endcap, capsys, "bandit", 300, "--reward-minutes", "0.1")

    assert all(sent == units for sent, units, *_ in counts(report))
    best = re.search(r"^treatment is the best with a probability of ([\d.]+)%$", report, re.MULTILINE)
    assert best is not None
    assert float(best[1]) > 99
