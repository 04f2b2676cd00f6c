"""The playbook stops at the first thing that fails and says what it was; `aws` is a program of the test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from deploy.local.tools import PROJECT

ANSWERS = """#!/usr/bin/env bash
echo "$*" >> "$CALLS"
case "$*" in
  s3*) ;;
  *describe-dataset-import-job*failureReason*) echo 'interactions.csv has no rows below its header.' ;;
  *describe-dataset-import-job*) echo 'CREATE FAILED' ;;
  *describe-*) echo ACTIVE ;;
  *) echo arn:aws:personalize:eu-west-1:000000000000:thing/made ;;
esac
"""


def test_the_playbook_says_what_failed_and_makes_nothing_after_it(tmp_path: Path) -> None:
    program, calls = tmp_path / "aws", tmp_path / "calls"
    program.write_text(ANSWERS)
    program.chmod(0o755)

    done = subprocess.run(
        ["bash", "examples/aws-cli-playbook.sh"],
        cwd=PROJECT,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "PLAYBOOK_INTERACTIONS": "0"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "CREATE FAILED: interactions.csv has no rows below its header." in done.stderr
    assert "create-dataset-import-job" in calls.read_text()
    assert "create-solution" not in calls.read_text()
