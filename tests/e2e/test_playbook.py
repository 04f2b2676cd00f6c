"""The playbook that a shop follows: the real `aws` command, with one address in its environment."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path

from deploy.local.tools import PROJECT
from tests.support.product import Endcap
from tests.support.waiting import PATIENCE


def played(endcap: Endcap, aws_command: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **{
            name: value
            for name, value in endcap.environment.items()
            if name.startswith("AWS_") and not name.startswith("AWS_ENDPOINT_URL_")
        },
        "PATH": f"{aws_command}:{os.environ['PATH']}",
        "NO_PROXY": "127.0.0.1",
        "PLAYBOOK_NAME": f"playbook-{uuid.uuid4().hex[:8]}",
        # Each poll is a process that imports for most of a second.
        "PLAYBOOK_POLL_SECONDS": "3",
        # Three for each customer; two versions are trained on them.
        "PLAYBOOK_INTERACTIONS": "6000",
    }
    return subprocess.run(
        ["bash", "examples/aws-cli-playbook.sh"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )


def test_the_playbook_runs_unchanged_to_its_end(endcap: Endcap, aws_command: Path) -> None:
    done = played(endcap, aws_command)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "6001 " in done.stdout
    # Two lists of ten, each item with its score.
    assert len(re.findall(r"^item-\d+\t0\.\d+(?:e-\d+)?$", done.stdout, re.MULTILINE)) == 20
    assert "mean_reciprocal_rank_at_25" in done.stdout
