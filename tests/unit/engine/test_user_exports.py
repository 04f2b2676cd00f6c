"""The stores that an export of a person reads, and those that it only names."""

from __future__ import annotations

from services.analytics.domain.lake_tables import BY_NAME
from services.engine.api.users import OTHER_STORES
from services.engine.settings import Settings
from services.engine.store.statements import SQL
from services.recommender.store.user_keys import user_keys


def test_each_service_that_erases_is_in_an_export() -> None:
    statement, *_ = SQL.user_data(tenant="shop", subjects=["u"], limit=1)
    named = {store.store.partition(":")[0] for store in OTHER_STORES}

    missing = [
        service
        for service in Settings().erasure_services
        if f"'{service}.'" not in statement and service not in named
    ]

    assert missing == []


def test_a_copy_is_of_a_store_that_an_export_reads() -> None:
    statement, *_ = SQL.user_data(tenant="shop", subjects=["u"], limit=1)
    originals = {original for store in OTHER_STORES for original in store.copy_of}

    assert {
        original for original in originals if f"{original.partition('.')[0]}.user_data_v1" in statement
    } == originals


def test_counts_are_those_that_receipts_of_erasures_have() -> None:
    named = {name for store in OTHER_STORES if store.counted for name in store.counted[1]}

    assert named == {*user_keys("shop", "u", ()), "overrides", "runs_with_files", *BY_NAME}
