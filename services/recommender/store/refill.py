"""Refill histories, users, overrides and marks of erasures after Redis lost them: FLUSHALL, a lost disk.

Redis holds the time up to which it is complete, one or more times on each node of a cluster. Each worker
updates these times, and detects a loss by one that is missing, or older than before.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import structlog

from services.recommender.domain.history_events import HistoryEvent, Login, is_kept
from services.recommender.metrics import OVERRIDES_COPIED, REFILLED
from services.recommender.store import SQL
from services.recommender.store.keys import HISTORIES_COMPLETE
from services.recommender.store.users import UserState
from shared.errors import EndcapError
from shared.postgres import UNAVAILABLE

if TYPE_CHECKING:
    from services.recommender.domain.erased_users import ErasedUsers
    from services.recommender.store.erasures import ErasureMarks
    from services.recommender.store.histories import Histories, Retention
    from services.recommender.store.override_copies import OverrideCopies
    from services.recommender.store.users import UserStates
    from shared.postgres import Database
    from shared.redis import Multiplexer

CHECK_SECONDS = 2.0
TOLERANCE_SECONDS = 5
MAX_AGE_AT_START_SECONDS = 60
"""A worker that has just started has written no mark to compare with; it accepts one of this age."""
MARGIN = timedelta(minutes=10)
"""Events received this long before the mark are read too: they may not have been in Redis yet. Arbitrary."""
MARKS_AGAIN_SECONDS = 600.0
"""Time after a refill until marks are read again, for an erasure that the tracker had not handled. Less than
the time that `ErasedUsers` knows an erasure."""
BATCH = 2_000

log = structlog.get_logger()


class Refill:
    """A part that checks whether Redis lost data, and reads it again from the owners' views.

    Several workers may do so at once; reading again changes nothing.
    """

    name = "refill"

    def __init__(
        self,
        redis: Multiplexer,
        database: Database,
        histories: Histories,
        users: UserStates,
        overrides: OverrideCopies,
        retention: Retention,
        erased_users: ErasedUsers,
        marks: ErasureMarks,
    ) -> None:
        self._redis = redis
        self._database = database
        self._histories = histories
        self._users = users
        self._overrides = overrides
        self._retention = retention
        self._erased_users = erased_users
        self._marks = marks
        self._marked = 0
        self._marks_again_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start to check."""
        self._task = asyncio.create_task(self._watch(), name="refill")

    async def stop(self) -> None:
        """Stop checking; an interrupted refill starts again at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=5)

    def alive(self) -> str | None:
        """Return None: each step has a time limit."""
        return None

    def ready(self) -> str | None:
        """Return None: new events are handled during a refill."""
        return None

    async def _watch(self) -> None:
        while True:
            try:
                await self._check()
            except (EndcapError, *UNAVAILABLE) as error:
                log.debug("refill.not_checked", error=repr(error))
            except asyncpg.PostgresError as error:
                log.warning("refill.not_checked", error=repr(error))
            except Exception:
                log.exception("refill.failed")
            await asyncio.sleep(CHECK_SECONDS)

    async def _check(self) -> None:
        """Compare the oldest time with the last one written, refill what Redis lost since, and update all.

        It is a time of Redis's own clock, which is the same for all workers.
        """
        *times, clock = await self._redis.execute(*(("GET", key) for key in HISTORIES_COMPLETE), ("TIME",))
        now, marked = int(clock[0]), min(int(each or 0) for each in times)
        expected = self._marked or now - MAX_AGE_AT_START_SECONDS
        if marked < expected - TOLERANCE_SECONDS:
            await self.refill(datetime.fromtimestamp(marked, UTC) - MARGIN)
            self._marks_again_at = time.monotonic() + MARKS_AGAIN_SECONDS
        if self._marks_again_at is not None and time.monotonic() >= self._marks_again_at:
            await self._refill_marks()
            self._marks_again_at = None
        await self._redis.execute(*(("SET", key, now) for key in HISTORIES_COMPLETE))
        self._marked = now
        OVERRIDES_COPIED.inc(await self._overrides.copy_missing())

    async def refill(self, lost_since: datetime) -> None:
        """Read the interactions received, and the users changed, since `lost_since`; all overrides and marks.

        Raise Transient while Redis is unavailable, and errors of asyncpg while Postgres is.
        """
        # First, since an event of an erased user may come while the rest is read.
        marks = await self._refill_marks()
        interactions = await self._refill_histories(lost_since)
        users = await self._refill_users(lost_since)
        overrides = await self._overrides.copy_all()
        REFILLED.inc(interactions)
        OVERRIDES_COPIED.inc(overrides)
        log.info(
            "refill.done",
            interactions=interactions,
            users=users,
            overrides=overrides,
            erasure_marks=marks,
            lost_since=lost_since.isoformat(),
        )

    async def _refill_marks(self) -> int:
        since, last, count = datetime.now(UTC) - self._marks.kept, ("", ""), 0
        while page := await self._database.fetch(
            *SQL.erased_subjects_after(tenant=last[0], subject=last[1], since=since, page_size=BATCH)
        ):
            times = {(row["tenant"], row["subject"]): row["erased_at"] for row in page}
            await self._marks.set(times)
            last, count = next(reversed(times)), count + len(times)
        return count

    async def _refill_histories(self, lost_since: datetime) -> int:
        self._histories.forget_links()
        since, count = datetime.now(UTC) - self._retention.purchases, 0
        received_since = max(since, lost_since)
        async with self._database.transaction(readonly=True) as connection:
            cursor = await connection.cursor(*SQL.events_since(since=since, received_since=received_since))
            while page := await cursor.fetch(BATCH):
                rows = [row for row in page if not self._is_erased(row)]
                await self._histories.record(
                    [
                        HistoryEvent(*(row[name] for name in HistoryEvent._fields))
                        for row in rows
                        if row["item_id"] and is_kept(row["event_type"], row["user_id"], row["session_id"])
                    ],
                    [
                        Login(row["tenant"], row["session_id"], row["user_id"])
                        for row in rows
                        if row["user_id"] and row["session_id"] and row["user_id"] != row["session_id"]
                    ],
                )
                count += len(rows)
        return count

    def _is_erased(self, row: Any) -> bool:
        """Return whether an erasure in progress covers an event, which the log may still have."""
        subjects = [name for name in (row["user_id"], row["session_id"]) if name]
        return bool(row["happened_by"] <= self._erased_users.erased_until(row["tenant"], subjects))

    async def _refill_users(self, lost_since: datetime) -> int:
        """Return the number of users.

        A page is read again after it was written, until it has not changed. Otherwise a newer state that came
        from Kafka between reading and writing would be overwritten.
        """
        last, count = ("", ""), 0
        while page := await self._users_after(last, lost_since):
            written: dict[tuple[str, str], UserState] = {}
            while page != written:
                deleted = dict.fromkeys(written.keys() - page.keys())
                await self._users.put({**deleted, **page})
                written, page = page, await self._users_after(last, lost_since)
            if not written:
                break
            last, count = next(reversed(written)), count + len(written)
        return count

    async def _users_after(self, last: tuple[str, str], since: datetime) -> dict[tuple[str, str], UserState]:
        query = SQL.users_since(tenant=last[0], user_id=last[1], since=since, page_size=BATCH)
        return {
            (row["tenant"], row["user_id"]): UserState.of(
                row["name"], (row["city"], row["province"], row["country"]), row["attributes"] or {}
            )
            for row in await self._database.fetch(*query)
        }
