"""The cause of a handler's error: the record, a dependency, or a defect.

See docs/decisions/0006-kafka-errors.
"""

from __future__ import annotations

import sys
from enum import Enum

import asyncpg
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from shared.errors import Permanent, Transient
from shared.postgres import UNAVAILABLE


class Cause(Enum):
    """The cause of an error, and what follows for the records of the call."""

    REFUSED = "the record is invalid: to the dead-letter topic at once"
    DISPUTED = "the record contradicts other rows, perhaps only now: to the dead-letter topic after retries"
    DEPENDENCY = "a dependency is not reachable or busy: retry without limit"
    UNEXPECTED = "a defect, or an unforeseen record: to the dead-letter topic after retries"


def cause_of(error: Exception) -> Cause:
    """Return the cause of an error that a handler raised."""
    for cause, kinds in _CAUSES:
        if isinstance(error, kinds):
            # InterfaceError means an unusable connection, but asyncpg also raises subclasses that are
            # ValueErrors, for an argument that does not fit its type, such as an integer that is too large.
            if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
                return Cause.REFUSED
            return cause
    return _cause_in_redis(error) or Cause.UNEXPECTED


_REDIS_ERRORS = {
    # A value that redis-py can't encode.
    Cause.REFUSED: ("DataError",),
    # Redis is not reachable, full or starting.
    Cause.DEPENDENCY: (
        "ConnectionError",
        "TimeoutError",
        "BusyLoadingError",
        "OutOfMemoryError",
        "ReadOnlyError",
    ),
}


def _cause_in_redis(error: Exception) -> Cause | None:
    """Return the cause of an error of redis-py, if the process has imported it; most have not."""
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
            # A value that is out of range, not of its type, or has a character that Postgres can't store.
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
            # Maintenance that allows no connections, and failures of the disk.
            asyncpg.ObjectNotInPrerequisiteStateError,
            asyncpg.PostgresSystemError,
            # A migration has changed a table under a prepared statement.
            asyncpg.InvalidCachedStatementError,
            # A migration has not run yet. Every event fails, whatever it holds: names of tables, columns and
            # functions come from queries.sql, never from a record, and no table has row-level policies.
            asyncpg.UndefinedTableError,
            asyncpg.UndefinedColumnError,
            asyncpg.UndefinedFunctionError,
            asyncpg.InvalidSchemaNameError,
            asyncpg.InsufficientPrivilegeError,
        ),
    ),
)
