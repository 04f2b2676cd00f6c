"""Announce the users and sessions whose history changed, by PUBLISH: the worker to the web processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson
import structlog

from services.recommender.store.keys import CHANGED_SUBJECTS
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.domain.history_events import HistoryEvent, Login
    from shared.redis import Multiplexer

log = structlog.get_logger()


class SubjectChanges:
    """Announces changes. A stream whose announcement is lost looks again by itself, only later."""

    def __init__(self, redis: Multiplexer) -> None:
        self._redis = redis

    async def announce(self, events: Iterable[HistoryEvent | Login]) -> None:
        """Announce the users and sessions of the events, in one message per tenant."""
        subjects: dict[str, set[str]] = {}
        for event in events:
            changed = subjects.setdefault(event.tenant, set())
            changed.update(subject for subject in (event.user_id, event.session_id) if subject is not None)
        if not subjects:
            return
        messages = [b"%b\n%b" % (tenant.encode(), orjson.dumps([*ids])) for tenant, ids in subjects.items()]
        try:
            await self._redis.execute(*(("PUBLISH", CHANGED_SUBJECTS, message) for message in messages))
        except EndcapError as error:
            log.debug("changes.not_announced", error=repr(error))
