"""Items that the catalogue does not have: anybody can invent them with the key in a page of the shop."""

from __future__ import annotations

from tests.integration.trainer.conftest import Trainer
from tests.integration.trainer.test_snapshots import ids, popularity, rows, taken


async def test_a_shop_with_a_catalogue_trains_on_its_items_orders_and_files(trainer: Trainer) -> None:
    for user in ("u1", "u2"):
        for item, source in (("i1", "events"), ("invented", "events"), ("old", "order"), ("new", "import")):
            await trainer.happened(user, item, source=source)
    await taken(trainer)
    without = {row["ITEM_ID"] for row in rows(trainer, "interactions")}

    await trainer.item("i1")
    await taken(trainer)

    kept = {"i1", "old", "new"}
    assert without == {*kept, "invented"}
    assert {row["ITEM_ID"] for row in rows(trainer, "interactions")} == kept
    assert ids(trainer, "item-ids") == kept
    assert set((await popularity(trainer))["all"]) == kept
    assert await trainer.snapshots.describe_excluded("default") == [
        "2 events are left out: the catalogue does not have their items"
    ]
