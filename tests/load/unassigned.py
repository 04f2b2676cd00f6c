"""The recommender without experiments: what it saves is what a decision with exposure costs.

python -m tests.load.unassigned serve
"""

from __future__ import annotations

import runpy

from services.recommender.serving.experiments import Experiments


def _may_run(*_: object) -> bool:
    """Return False: no tenant has an experiment."""
    return False


if __name__ == "__main__":
    Experiments.may_run = _may_run  # type: ignore[method-assign, assignment] # it takes the same arguments
    runpy.run_module("services.recommender", run_name="__main__", alter_sys=True)
