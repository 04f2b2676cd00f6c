"""The dashboards of Grafana, one per audience."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from deploy.grafana.boards.events import EVENTS
from deploy.grafana.boards.experiments import EXPERIMENTS
from deploy.grafana.boards.overview import OVERVIEW
from deploy.grafana.boards.serving import SERVING
from deploy.grafana.boards.training import TRAINING

FOLDER = Path("deploy/grafana/dashboards")
DASHBOARDS = (OVERVIEW, SERVING, EVENTS, TRAINING, EXPERIMENTS)


def documents() -> Mapping[Path, bytes]:
    """Return the JSON of every dashboard by its file."""
    return {
        FOLDER / f"{board.uid.removeprefix('endcap-')}.json": json.dumps(
            board.document(), indent=2, ensure_ascii=False
        ).encode()
        + b"\n"
        for board in DASHBOARDS
    }
