"""The commands that `make run` prints work as they stand."""

from __future__ import annotations

import os
import subprocess

from deploy.local.tools import PROJECT
from deploy.local.tour import commands
from tests.support.shop import Shop
from tests.support.waiting import PATIENCE


def test_every_printed_command_works(shop: Shop) -> None:
    script = commands(shop.endcap.stack)

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=PROJECT,
        env={**os.environ, **shop.endcap.environment, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert ['"source":"redis"' in line for line in lines] == [True] * 3 + [False] * 5
    assert ["'itemId'" in line for line in lines] == [False] * 3 + [True] * 5
