"""The data of a user in all services, for exports."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from services.engine.store.statements import SQL

if TYPE_CHECKING:
    from services.engine.store.dead_letters import DeadLetters
    from shared.postgres import Database

MAX_ROWS = 100_000
MAX_LETTERS = 500
"""Rows and newest dead letters that one export reads; arbitrary."""


class UserData(NamedTuple):
    """The sessions of a user, and the rows of the user and the sessions by `service.table`.

    `is_complete` is false if there were more rows, or older dead letters that were not looked at.
    """

    sessions: list[str]
    stores: dict[str, list[dict[str, Any]]]
    is_complete: bool


async def collect(database: Database, letters: DeadLetters, tenant: str, user_id: str) -> UserData:
    """Return the rows of a user in Postgres and in dead letters. Raises Transient without either."""
    logins = await database.fetch(*SQL.sessions_of(tenant=tenant, users=[user_id]))
    sessions = list(logins[0]["session_ids"]) if logins else []
    subjects = [user_id, *sessions]
    rows = await database.fetch(*SQL.user_data(tenant=tenant, subjects=subjects, limit=MAX_ROWS + 1))
    stores: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows[:MAX_ROWS]:
        stores[row["store"]].append(row["content"])
    listed, has_all_letters = await letters.newest(tenant, MAX_LETTERS)
    for item in listed:
        record = _json(item.letter.record.value)
        if _names(record, user_id):
            stores["dead_letters"].append({"id": str(item.letter.place), "record": record})
    return UserData(sessions, dict(stores), len(rows) <= MAX_ROWS and has_all_letters)


def _json(value: bytes | None) -> Any:
    try:
        return orjson.loads(value or b"null")
    except orjson.JSONDecodeError:
        return None


def _names(value: Any, user_id: str) -> bool:
    """Return whether a JSON value contains the id of a user as a whole value."""
    if isinstance(value, dict):
        return any(_names(member, user_id) for member in value.values())
    if isinstance(value, list):
        return any(_names(member, user_id) for member in value)
    return bool(value == user_id)
