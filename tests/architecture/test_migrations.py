"""Migrations of a service have numbers of their own."""

from __future__ import annotations

from collections import Counter

import pytest

from deploy.local.ports import SERVICES
from tests.architecture.source import ROOT

SHARED_NUMBERS = {
    "analytics": {"0004": 2},
    "engine": {"0011": 2, "0018": 3, "0021": 2},
    "loader": {"0008": 3},
    "router": {"0007": 2, "0010": 2},
    "sync": {"0017": 2, "0021": 2, "0022": 2},
    "tracker": {"0008": 2},
}
"""Numbers of several migrations. Databases know these by their names, so none can be renamed; those of one
number do not depend on each other."""


@pytest.mark.parametrize("service", SERVICES)
def test_a_migration_has_a_number_of_its_own(service: str) -> None:
    """Files are applied in the order of their names: two of one number are applied in no meant order."""
    names = (path.name for path in (ROOT / "services" / service / "migrations").glob("*.sql"))
    numbers = Counter(name[:4] for name in names)

    assert {number: count for number, count in numbers.items() if count > 1} == SHARED_NUMBERS.get(
        service, {}
    )
