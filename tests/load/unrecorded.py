"""The recommender without the record of its answers: the difference to the usual one is what recording costs.

python -m tests.load.unrecorded serve
"""

from __future__ import annotations

import runpy

from services.recommender.store.servings import Servings


def _add(*_: object) -> None:
    """Record nothing."""


if __name__ == "__main__":
    Servings.add = _add  # type: ignore[method-assign, assignment] # it takes the same arguments
    runpy.run_module("services.recommender", run_name="__main__", alter_sys=True)
