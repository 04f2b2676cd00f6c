"""The simulator through the gateway of the running product: the router counts what the visitors did."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.product import Endcap
from tests.support.waiting import PATIENCE


def simulation(endcap: Endcap, *options: str) -> str:
    """Return what the command prints."""
    command = [sys.executable, "-m", "services.router", "simulate", "--key", endcap.keys["admin"]]
    # The worker may still be joining its group.
    command += ["--url", endcap.environment["ENDCAP_URL"], "--wait", str(PATIENCE / 2), *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_interleaved_simulation_credits_the_clicks_that_it_sends(endcap: Endcap) -> None:
    """120 visitors, who click a fifth of the control's items and half of the treatment's."""
    printed = simulation(
        endcap, "--design", "interleaving", "--visitors", "120", "--rate", "0.2", "--effect", "1.5"
    )

    for _, clicks, credited in re.findall(r"^(control|treatment) +(\d+) +(\d+)", printed, re.MULTILINE):
        assert clicks == credited
    for sent, counted in re.findall(r"^prefer the \w+: sent (\d+), counted (\d+)", printed, re.MULTILINE):
        assert sent == counted
    assert "finding: better" in printed


def test_a_simulation_counts_what_it_sends(endcap: Endcap) -> None:
    """300 visitors, of whom 30 or 60 % purchase."""
    printed = simulation(endcap, "--visitors", "300", "--rate", "0.3", "--effect", "1")

    lines = re.findall(r"^(?:control|treatment) +(\d+) +(\d+) +(\d+) +(\S+)", printed, re.MULTILINE)
    assert sum(int(sent) for sent, *_ in lines) == 300
    for sent, units, bought, rate in lines:
        assert sent == units
        assert float(rate) == pytest.approx(int(bought) / int(units), abs=1e-4)
    assert "relative effect: true +100.0%" in printed
