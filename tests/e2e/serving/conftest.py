"""One stack of components without the product, for the tests of serving."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack
from tests.load.serving_process import serving_stack


@pytest.fixture(scope="package")
def stack() -> Iterator[Stack]:
    with serving_stack() as running:
        yield running
