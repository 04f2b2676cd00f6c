"""A user is erased: the files of runs that began before go, as soon as nobody reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.trainer.domain import run_prefix
from services.trainer.store import Erasures
from services.trainer.worker import FileErasure
from tests.integration.trainer.conftest import NOON, Trainer
from tests.integration.trainer.test_runs import completed
from tests.integration.trainer.test_snapshots import ids, rows, taken
from tests.support.erasures import erasure


async def begun(trainer: Trainer) -> int:
    """A run that is at context, with a file."""
    asked = await trainer.runs.request("default", "test")
    await trainer.runs.start(asked.run)
    trainer.client.put_object(
        Bucket=trainer.bucket, Key=f"{run_prefix('default', asked.run)}interactions.csv", Body=b"u1"
    )
    return asked.run


async def ended(trainer: Trainer) -> int:
    number = await begun(trainer)
    await trainer.runs.complete(await trainer.runs.start(number), completed(number))
    return number


async def receipts(trainer: Trainer) -> list[tuple[str, int]]:
    rows = await trainer.database.fetch(
        "SELECT payload FROM outbox WHERE aggregatetype = 'erasure-receipts-v1' ORDER BY seq"
    )
    return [(row["payload"]["user_id"], row["payload"]["rows"]["runs_with_files"]) for row in rows]


async def files_of(trainer: Trainer, run: int) -> int:
    return len(await trainer.files.keys(run_prefix("default", run)))


async def test_files_go_when_no_earlier_run_is_at_work_and_only_then_is_it_confirmed(
    trainer: Trainer,
) -> None:
    erasures = Erasures(trainer.database)
    erasing = FileErasure(trainer.runs, trainer.files, erasures, load_seconds=0.0)
    old, current = await ended(trainer), await begun(trainer)
    for request in [erasure("u1"), erasure("u1"), erasure("u2")]:
        await erasures.add(request)

    await erasing.run()
    assert (await files_of(trainer, old), await files_of(trainer, current)) == (1, 1)
    assert await receipts(trainer) == []

    await trainer.runs.complete(await trainer.runs.start(current), completed(current))
    later = await begun(trainer)
    for _ in range(2):
        await erasing.run()

    assert (await files_of(trainer, old), await files_of(trainer, current)) == (0, 0)
    assert await files_of(trainer, later) == 1
    assert sorted(await receipts(trainer)) == [("u1", 2), ("u2", 2)]


async def test_what_was_just_handed_to_the_loader_stays_for_a_while(trainer: Trainer) -> None:
    erasures = Erasures(trainer.database)
    run = await ended(trainer)
    await erasures.add(erasure("u1"))

    await FileErasure(trainer.runs, trainer.files, erasures, load_seconds=60.0).run()
    assert await files_of(trainer, run) == 1
    await FileErasure(trainer.runs, trainer.files, erasures, load_seconds=0.0).run()

    assert await files_of(trainer, run) == 0


async def test_a_run_of_afterwards_is_not_touched(trainer: Trainer) -> None:
    erasures = Erasures(trainer.database)
    await erasures.add(erasure("u1", occurred_at=datetime.now(UTC) - timedelta(hours=1)))
    run = await ended(trainer)

    await FileErasure(trainer.runs, trainer.files, erasures, load_seconds=0.0).run()

    assert await files_of(trainer, run) == 1
    assert await receipts(trainer) == [("u1", 0)]


async def test_what_an_erasure_covers_is_left_out_although_the_log_still_has_it(trainer: Trainer) -> None:
    """A run that starts after the request may read the log before the tracker has erased the user."""
    minute = timedelta(minutes=1)
    for user in ("gone", "back", "kept"):
        await trainer.happened(user, "i1")
        await trainer.happened(user, "i2", occurred_at=NOON + 4 * minute)  # a clock that is ahead
        await trainer.user(user, updated_at=NOON)
    await trainer.happened(None, "i3", session_id="s-1")
    await trainer.happened("gone", "i4", session_id="s-1")
    later = NOON + 2 * minute
    await trainer.happened("back", "i5", occurred_at=later, received_at=later)
    await trainer.administrator.execute(
        "INSERT INTO engine.deleted_users (tenant, user_id, deleted_at) "
        "VALUES ('default', 'gone', $1), ('default', 'back', $1), ('other', 'kept', $1)",
        NOON + minute,
    )

    await taken(trainer)

    assert [(row["USER_ID"], row["ITEM_ID"]) for row in rows(trainer, "interactions")] == [
        ("back", "i5"), ("kept", "i1"), ("kept", "i2"),
    ]  # fmt: skip
    assert [row["USER_ID"] for row in rows(trainer, "users")] == ["kept"]
    assert ids(trainer, "user-ids") == {"back", "kept"}
