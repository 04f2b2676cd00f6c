"""The simulator through the gateway of the running product: the router counts what the visitors did."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.support.product import Endcap
from tests.support.waiting import PATIENCE


def test_a_simulation_counts_what_it_sends(endcap: Endcap) -> None:
    """300 visitors, of whom 30 or 60 % purchase."""
    command = [sys.executable, "-m", "services.router", "simulate", "--key", endcap.keys["admin"]]
    size = ["--visitors", "300", "--rate", "0.3", "--effect", "1", "--url", endcap.environment["ENDCAP_URL"]]
    ended = subprocess.run([*command, *size], capture_output=True, text=True, check=False, timeout=PATIENCE)

    assert ended.returncode == 0, ended.stderr
    lines = re.findall(r"^(?:control|treatment) +(\d+) +(\d+) +(\d+) +(\S+)", ended.stdout, re.MULTILINE)
    assert sum(int(sent) for sent, *_ in lines) == 300
    for sent, units, bought, rate in lines:
        assert sent == units
        assert float(rate) == pytest.approx(int(bought) / int(units), abs=1e-4)
    assert "relative effect: true +100.0%" in ended.stdout
