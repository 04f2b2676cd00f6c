"""Order files whose worker dies, loses its lease or finds another file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from services.sync.domain.imports import Import
from services.sync.store import Imports
from shared.errors import Permanent
from shared.jobs import LeaseLost
from tests.integration.sync.orders import FILE, HEADER, counts, state
from tests.integration.sync.shop import Shop

if TYPE_CHECKING:
    from shared.postgres import Connection


class Dying(Imports):
    """Dies when the import is saved for the n-th time: before it is written, or after the commit."""

    def __init__(self, shop: Shop, at: int) -> None:
        super().__init__(shop.pool)
        self.left = at

    async def save(self, connection: Connection, import_: Import) -> None:
        self.left -= 1
        if self.left == 0:
            raise asyncio.CancelledError
        await super().save(connection, import_)


@pytest.mark.parametrize("at", range(1, 12))
async def test_the_job_of_a_killed_worker_is_taken_over_without_loss_or_duplicate(
    shop: Shop, at: int
) -> None:
    reference = await shop.load("orders", FILE)
    expected, expected_counts = await state(shop), counts(reference)
    expected_changes = reference.changes
    await shop.pool.execute(
        "TRUNCATE orders, order_items, items, users, import_rejects, imports, outbox, staged_lines"
    )
    identity = await shop.post("orders", FILE)

    with pytest.raises(asyncio.CancelledError):
        await shop.run(identity, shop.importer(imports=Dying(shop, at)))
    import_ = await shop.run(identity)

    assert (import_.status, counts(import_), import_.changes) == ("done", expected_counts, expected_changes)
    assert await state(shop) == expected
    assert len(await shop.published("training-requests-v1")) == 1


@pytest.mark.parametrize("step", ["read", "orders", "items", "users"])
async def test_lines_that_postgres_lost_in_a_crash_are_read_again(shop: Shop, step: str) -> None:
    identity = await shop.post("orders", FILE)

    class DyingInStep(Imports):
        """Dies when it saves in the step for the second time."""

        saved = 0

        async def save(self, connection: Connection, import_: Import) -> None:
            self.saved += import_.step == step
            if self.saved == 2:
                raise asyncio.CancelledError
            await super().save(connection, import_)

    with pytest.raises(asyncio.CancelledError):
        await shop.run(identity, shop.importer(imports=DyingInStep(shop.pool)))
    await shop.pool.execute("TRUNCATE staged_lines")
    import_ = await shop.run(identity)

    assert (import_.status, counts(import_)) == ("done", (7, 6, 1, 0))
    assert {name: import_.changes[name] for name in ("orders", "order_lines")} == {
        "orders": 3,
        "order_lines": 5,
    }
    assert len(await shop.published("orders-v1")) == 4
    assert len(await shop.rejects(identity)) == 1


async def test_a_worker_that_lost_its_lease_writes_nothing_more(shop: Shop) -> None:
    identity = await shop.post("orders", FILE)
    stale = await shop.imports.by_id(identity)
    assert stale is not None
    await shop.run(identity)

    with pytest.raises(LeaseLost):
        async with shop.pool.transaction() as connection:
            await shop.imports.save(connection, stale)


async def test_an_object_that_was_replaced_meanwhile_is_not_mixed(shop: Shop) -> None:
    identity = await shop.post("orders", FILE)
    import_ = await shop.imports.by_id(identity)
    assert import_ is not None
    shop.files._client.put_object(Bucket=import_.bucket, Key=import_.object_key, Body=HEADER.encode())

    with pytest.raises(Permanent, match="replaced"):
        await shop.run(identity)
