"""Which objects are imports."""

from __future__ import annotations

import pytest

from services.sync.domain.uploads import parse_key


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("default/orders.csv", "orders"),
        ("default/orders-2026-03.csv.gz", "orders"),
        ("default/items with spaces.csv", "items"),
        ("default/users.csv", "users"),
        ("default/interactions_all.csv", "interactions"),
    ],
)
def test_a_file_of_a_kind_is_an_import(key: str, kind: str) -> None:
    assert parse_key(key) == ("default", kind)


@pytest.mark.parametrize(
    "key",
    [
        "orders.csv",
        "default/old/orders.csv",
        "Default/orders.csv",
        "../orders.csv",
        "default/orders.csv.tmp",
        "default/orders.xlsx",
        "default/invoices.csv",
        "default/",
        "/orders.csv",
    ],
)
def test_any_other_key_is_not(key: str) -> None:
    assert parse_key(key) is None
