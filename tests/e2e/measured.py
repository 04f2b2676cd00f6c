"""Assertions on the figures of a benchmark."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tests.load.figures import Figure, table


def assert_measured(figures: Sequence[Figure], *names: str) -> None:
    """Assert that the figures are finite, that they can be printed, and that these names are among them."""
    assert all(math.isfinite(figure.value) for figure in figures), figures
    printed = table(figures)
    missing = [name for name in names if name not in printed]
    assert not missing, printed
