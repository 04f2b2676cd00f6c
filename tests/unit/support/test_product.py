"""The product of a test run ends after the last test that needs it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support import product

PRODUCT, OTHER, PAGE = (
    "tests/e2e/test_tour.py",
    "tests/component/sync/test_kills.py",
    "tests/browser/test_shop.py",
)


@dataclass
class Stopped:
    """A stack that remembers that it was stopped."""

    stops: int = 0

    def stop(self) -> float:
        self.stops += 1
        return 0.0


@dataclass(eq=False)
class Item:
    """The members of a test that the product reads."""

    file: str
    fixturenames: tuple[str, ...] = ()
    session: Any = field(default=None, repr=False)

    @property
    def path(self) -> Path:
        return Path("/checkout") / self.file


def stops(monkeypatch: pytest.MonkeyPatch, *files: str) -> list[int]:
    """Return how often the product was stopped after each of these tests, run in this order."""
    items = [Item(file, () if file == OTHER else ("endcap",)) for file in files]
    session = SimpleNamespace(items=items)
    stack, counts = Stopped(), []
    monkeypatch.setattr(product, "_running", [stack])
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.session = session
        product.pytest_runtest_teardown(cast("pytest.Item", item), cast("pytest.Item | None", following))
        counts.append(stack.stops)
    return counts


def test_one_process_keeps_the_product_for_every_later_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    assert stops(monkeypatch, PRODUCT, OTHER, PAGE, OTHER, OTHER) == [0, 0, 1, 1, 1]


def test_one_of_several_processes_stops_it_before_the_tests_of_other_folders(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")

    assert stops(monkeypatch, PRODUCT, PAGE, OTHER, OTHER) == [0, 1, 1, 1]


def test_the_end_of_the_run_is_left_to_the_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    assert stops(monkeypatch, PRODUCT, PAGE) == [0, 0]
