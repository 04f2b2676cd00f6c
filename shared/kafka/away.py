"""Which errors of a handler say that a dependency is away: wait and try again, bury nothing."""

from __future__ import annotations

import asyncpg
from aiokafka.errors import KafkaError

from shared.errors import Transient
from shared.postgres import UNAVAILABLE


def _away() -> tuple[type[Exception], ...]:
    """What a handler raises, beside Transient, when a dependency is away or not yet set up."""
    found: list[type[Exception]] = [
        Transient,
        KafkaError,
        *UNAVAILABLE,
        # A migration has not run yet: every event would fail, and none of them is to blame.
        asyncpg.UndefinedTableError,
        asyncpg.UndefinedColumnError,
        asyncpg.UndefinedFunctionError,
        asyncpg.InvalidSchemaNameError,
        asyncpg.InsufficientPrivilegeError,
    ]
    try:
        from redis import exceptions  # noqa: PLC0415 - not every service has Redis
    except ImportError:
        pass
    else:
        found += [
            exceptions.ConnectionError,
            exceptions.TimeoutError,
            exceptions.BusyLoadingError,
            exceptions.OutOfMemoryError,
            exceptions.ReadOnlyError,
        ]
    return tuple(found)


AWAY = _away()
