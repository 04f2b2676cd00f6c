"""The state of a visitor, read for a placement: recent events, purchases, location and lists."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from services.recommender.store.keys import link_key, location_key
from services.recommender.store.lists import location_of
from services.recommender.store.profiles import HISTORY_LENGTH, Profile, StoredProfile
from shared.errors import EndcapError

if TYPE_CHECKING:
    from services.recommender.store.list_batches import ListBatch, ListBatches, ListKey, StoredLists
    from services.recommender.store.lists import Lists, Location
    from services.recommender.store.profiles import Profiles
    from shared.redis import Multiplexer

log = structlog.get_logger()


@dataclass(slots=True)
class VisitorState:
    """The events and purchases of a user and of their session, their location, and lists that were read."""

    profile: Profile = field(default_factory=Profile)
    location: Location | None = None
    lists: StoredLists = field(default_factory=dict)


class VisitorStates:
    """Reads the state of a visitor in one round trip to Redis, and from Postgres while Redis is unavailable.

    A session's events count as the user's unless the session belongs to another user: the first one who
    logged in to it.
    """

    def __init__(self, redis: Multiplexer, profiles: Profiles, lists: Lists, batches: ListBatches) -> None:
        self._redis = redis
        self._profiles = profiles
        self._lists = lists
        self._batches = batches

    async def read(
        self, tenant: str, user_id: str | None, session_id: str | None, keys: Collection[ListKey] = ()
    ) -> VisitorState:
        """Return the state of a user, a session, or both, with the lists of `keys`."""
        if session_id == user_id:
            session_id = None
        batch = self._batches.known_batch(tenant, keys) or await self._batches.batch(tenant, keys)
        commands: list[tuple[str | int, ...]] = [*batch.commands]
        list_count = len(commands)
        if user_id is not None:
            commands += self._profiles.commands(tenant, user_id)
            commands.append(("GET", location_key(tenant, user_id)))
        if session_id is not None:
            commands += self._profiles.commands(tenant, session_id)
            commands.append(("GET", link_key(tenant, session_id)))
        if not commands:
            return VisitorState()
        try:
            replies = await self._redis.execute(*commands)
            lists, missing = batch.parse(replies)
            if missing:
                lists |= await batch.from_postgres(self._lists, missing)
            return _parsed(user_id, replies[list_count:], lists)
        except (EndcapError, ValueError) as error:
            log.debug("visitors.redis_unavailable", error=repr(error))
        return await self._from_postgres(tenant, user_id, session_id, batch)

    async def _from_postgres(
        self, tenant: str, user_id: str | None, session_id: str | None, batch: ListBatch
    ) -> VisitorState:
        """Return the state; an empty one if Postgres does not answer in time."""
        subjects = [subject for subject in (user_id, session_id) if subject is not None]
        lists, purchases, profiles = await asyncio.gather(
            batch.from_postgres(self._lists),
            self._lists.from_postgres(tenant, None, "", "", user_id or session_id),
            asyncio.gather(*(self._profiles.from_postgres(tenant, subject) for subject in subjects)),
        )
        events = {event for profile in profiles for event in profile.history}
        history = sorted(events, key=lambda event: event[2])[-HISTORY_LENGTH:]
        purchased = purchases.purchased.union(*(profile.purchased for profile in profiles))
        return VisitorState(Profile(history, purchased), purchases.location, lists)


def _parsed(user_id: str | None, replies: Sequence[Any], lists: StoredLists) -> VisitorState:
    """Return the state from three replies for the user or the session, and three more with both."""
    if not replies:
        return VisitorState(lists=lists)
    entries, item_ids, value, *of_session = replies
    location = None if user_id is None else location_of(value)
    session_entries: Sequence[bytes] = ()
    if of_session:
        entries_of_session, session_item_ids, owner = of_session
        if owner is None or owner.decode() == user_id:
            item_ids = [*item_ids, *session_item_ids]
            session_entries = entries_of_session
    purchased = {item_id.decode() for item_id in item_ids} if item_ids else set[str]()
    return VisitorState(StoredProfile(entries, purchased, session_entries), location, lists)
