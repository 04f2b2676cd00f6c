"""Whose fault an error of a handler is: the record's, a dependency's that is away, or a defect's."""

from __future__ import annotations

import sys
from enum import Enum

import asyncpg
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from shared.errors import Permanent, Transient
from shared.postgres import UNAVAILABLE


class Cause(Enum):
    """What to do with the records of a call that failed."""

    REFUSED = "the record will never be taken: to the dead-letter topic at once"
    DISPUTED = (
        "the record contradicts other rows, perhaps only now: to the dead-letter topic after some tries"
    )
    DEPENDENCY = "a dependency is away or busy: wait for it, however long that takes"
    UNEXPECTED = "a defect, or a record that nobody thought of: to the dead-letter topic after some tries"


def cause_of(error: Exception) -> Cause:
    """Return the cause of an error that a handler raised."""
    for cause, kinds in _CAUSES:
        if isinstance(error, kinds):
            # asyncpg raises its InterfaceError, which otherwise says that a connection is of no use, also as
            # a ValueError: an argument is none of its type, such as an integer that is too large.
            if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
                return Cause.REFUSED
            return cause
    return _cause_in_redis(error) or Cause.UNEXPECTED


_REDIS_ERRORS = {
    # A value that redis-py can't send.
    Cause.REFUSED: ("DataError",),
    # Redis is away, full or starting.
    Cause.DEPENDENCY: (
        "ConnectionError",
        "TimeoutError",
        "BusyLoadingError",
        "OutOfMemoryError",
        "ReadOnlyError",
    ),
}


def _cause_in_redis(error: Exception) -> Cause | None:
    """Return the cause of an error of redis-py, which most processes don't import."""
    errors = sys.modules.get("redis.exceptions")
    if errors is None:
        return None
    for cause, names in _REDIS_ERRORS.items():
        if isinstance(error, tuple(getattr(errors, name) for name in names)):
            return cause
    return None


_CAUSES: tuple[tuple[Cause, tuple[type[Exception], ...]], ...] = (
    (
        Cause.REFUSED,
        (
            Permanent,
            # A value: out of range, not of its type, a character that Postgres can't keep.
            asyncpg.DataError,
            # An index row, an expression or a row that is too large.
            asyncpg.ProgramLimitExceededError,
            asyncpg.WithCheckOptionViolationError,
            MessageSizeTooLargeError,
            RecordListTooLargeError,
        ),
    ),
    (Cause.DISPUTED, (asyncpg.IntegrityConstraintViolationError,)),
    (
        Cause.DEPENDENCY,
        (
            Transient,
            KafkaError,
            *UNAVAILABLE,
            # No connections are allowed to the database while it is maintained, and its disk may fail.
            asyncpg.ObjectNotInPrerequisiteStateError,
            asyncpg.PostgresSystemError,
            # A migration changed a table under a prepared statement.
            asyncpg.InvalidCachedStatementError,
            # A migration has not run yet. Every event would fail, and none of them is the cause: names of
            # tables, columns and functions come from queries.sql, never from a record, and no table has
            # policies on its rows.
            asyncpg.UndefinedTableError,
            asyncpg.UndefinedColumnError,
            asyncpg.UndefinedFunctionError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.InsufficientPrivilegeError,
        ),
    ),
)
