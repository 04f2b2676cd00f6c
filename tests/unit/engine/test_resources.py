"""Tenants get ids that were never used before."""

from __future__ import annotations

import pytest

from services.engine.domain.resources import tenant_id


@pytest.mark.parametrize(
    ("group", "used", "tenant"),
    [
        ("shop", set(), "shop"),
        ("shop", {"shop"}, "shop-2"),
        ("shop", {"shop", "shop-2"}, "shop-3"),
        ("My_Shop", set(), "my-shop"),
        ("Shop--1_", {"shop--1"}, "shop--1-2"),
    ],
)
def test_a_tenants_id_is_its_groups_name_or_has_a_suffix(group: str, used: set[str], tenant: str) -> None:
    assert tenant_id(group, used.__contains__) == tenant
