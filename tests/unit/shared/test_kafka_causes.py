"""The cause of a handler's error: refused at once, tried some times, or retried without limit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError, MessageSizeTooLargeError
from asyncpg.exceptions import _base
from redis import exceptions as redis_errors

from shared.errors import Permanent, Transient
from shared.kafka import activity, retrying_handler
from shared.kafka.activity import Activity, ConsumerEnding
from shared.kafka.causes import Cause, cause_of
from shared.kafka.records import Tombstone
from shared.kafka.retrying_handler import RetryingHandler
from shared.redis.replies import CommandRefused, Unavailable, _error

ROOT = Path(__file__).parents[3]

REFUSED = [
    Permanent("no such item"),
    CommandRefused("WRONGTYPE"),
    asyncpg.CharacterNotInRepertoireError("invalid byte sequence for encoding UTF8: 0x00"),
    asyncpg.UntranslatableCharacterError("\\u0000 cannot be converted to text"),
    asyncpg.NumericValueOutOfRangeError("out of range"),
    asyncpg.InvalidTextRepresentationError("invalid input syntax"),
    asyncpg.DatetimeFieldOverflowError("out of range"),
    asyncpg.ProgramLimitExceededError("index row size 2824 exceeds btree version 4 maximum 2704"),
    asyncpg.StatementTooComplexError("stack depth limit exceeded"),
    _base.DataError("invalid input for query argument $1: value out of int32 range"),
    MessageSizeTooLargeError("too large"),
    redis_errors.DataError("invalid input"),
]
DISPUTED = [
    asyncpg.UniqueViolationError("duplicate key"),
    asyncpg.ForeignKeyViolationError("no such tenant"),
    asyncpg.CheckViolationError("value < 0"),
]
DEPENDENCY = [
    Transient("the store is away"),
    Unavailable("Redis can't do this now: OOM command not allowed"),
    OSError("refused"),
    TimeoutError("slow"),
    KafkaConnectionError("refused"),
    KafkaTimeoutError("slow"),
    asyncpg.CannotConnectNowError("starting up"),
    asyncpg.InterfaceError("connection is closed"),
    asyncpg.InternalClientError("unexpected state"),
    asyncpg.OutOfMemoryError("out of memory"),
    asyncpg.DiskFullError("no space left"),
    asyncpg.DeadlockDetectedError("busy"),
    asyncpg.QueryCanceledError("statement timeout"),
    asyncpg.UndefinedTableError("not migrated yet"),
    asyncpg.InsufficientPrivilegeError("not granted yet"),
    asyncpg.ObjectNotInPrerequisiteStateError("database is not currently accepting connections"),
    asyncpg.PostgresIOError("could not write block"),
    asyncpg.InvalidCachedStatementError("cached statement plan is invalid"),
    redis_errors.OutOfMemoryError("OOM"),
]
UNEXPECTED = [ZeroDivisionError("a defect"), OverflowError("date value out of range"), KeyError("x")]

EVENTS = [Tombstone("a"), Tombstone("b")]


def names(error: Exception) -> str:
    return type(error).__name__


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        *((error, Cause.REFUSED) for error in REFUSED),
        *((error, Cause.DISPUTED) for error in DISPUTED),
        *((error, Cause.DEPENDENCY) for error in DEPENDENCY),
        *((error, Cause.UNEXPECTED) for error in UNEXPECTED),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else names(value),
)
def test_the_cause_of_an_error(error: Exception, cause: Cause) -> None:
    assert cause_of(error) is cause


def test_no_table_has_policies_on_its_rows() -> None:
    """InsufficientPrivilege would then be a record's fault, and be waited for without end."""
    migrations = "".join(path.read_text() for path in ROOT.glob("services/*/migrations/*.sql"))

    assert not re.search(r"ROW\s+LEVEL\s+SECURITY|CREATE\s+POLICY", migrations, re.IGNORECASE)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "FIRST_PAUSE_SECONDS", 0.0)


def caller(*errors: Exception | None) -> tuple[RetryingHandler, list[int], Activity]:
    """A caller of a handler that raises the errors one after the other, and the sizes of its calls."""
    coming, calls = iter(errors), list[int]()

    async def handler(events: Sequence[Any]) -> None:
        calls.append(len(events))
        if (error := next(coming, None)) is not None:
            raise error

    doing = Activity("t-v1", "tracker")
    return RetryingHandler(handler, doing, "t-v1", "tracker"), calls, doing


@pytest.mark.parametrize("error", REFUSED, ids=names)
async def test_a_refused_record_is_tried_once(error: Exception) -> None:
    called, calls, _ = caller(*[error] * 9)

    failure = await called.call(EVENTS[:1], 3, asyncio.Event())

    assert failure is not None
    assert (failure.refused, failure.is_a_defect, failure.attempts, len(calls)) == (True, False, 1, 1)


@pytest.mark.parametrize(
    ("error", "refused"),
    [*((error, True) for error in DISPUTED), *((error, False) for error in UNEXPECTED)],
    ids=lambda value: value if isinstance(value, bool) else names(value),
)
async def test_what_may_be_another_time_is_tried_a_few_times(error: Exception, *, refused: bool) -> None:
    called, calls, _ = caller(*[error] * 9)

    failure = await called.call(EVENTS[:1], 3, asyncio.Event())

    assert failure is not None
    assert (failure.refused, failure.attempts, len(calls)) == (refused, 3, 3)


@pytest.mark.parametrize("error", DEPENDENCY, ids=names)
async def test_one_record_waits_for_a_dependency_without_end(error: Exception) -> None:
    called, calls, doing = caller(*[error] * 50)

    assert await called.call(EVENTS[:1], 3, asyncio.Event()) is None
    assert (len(calls), doing.waiting_seconds()) == (51, 0)


async def test_many_records_are_split_when_a_dependency_does_not_take_them_together() -> None:
    called, calls, doing = caller(*[TimeoutError("the statement was too slow")] * 50)

    failure = await called.call(EVENTS, 1, asyncio.Event())

    assert failure is not None
    assert len(calls) == retrying_handler.SPLIT_AFTER
    assert doing.waiting_seconds() > 0, "it still waits"


async def test_no_call_begins_once_the_consumer_ends() -> None:
    called, calls, _ = caller()
    ending = asyncio.Event()
    ending.set()

    with pytest.raises(ConsumerEnding):
        await called.call(EVENTS[:1], 3, ending)

    assert calls == []


async def test_a_long_wait_is_a_sentence_with_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    doing = Activity("puts-v1", "sync")
    now = 1_000.0
    monkeypatch.setattr(activity, "monotonic", lambda: now)
    doing.waits("ConnectionRefusedError('Postgres')")
    now += 59
    assert doing.long_wait() is None

    now += 6
    doing.waits("ConnectionRefusedError('Postgres')")
    assert doing.long_wait() == (
        "reading puts-v1 as sync has been waiting for 65 s: ConnectionRefusedError('Postgres')"
    )

    doing.worked()
    assert (doing.long_wait(), doing.waiting_seconds()) == (None, 0)


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", Cause.DEPENDENCY),
        ("NOAUTH Authentication required.", Cause.DEPENDENCY),
        ("NOPERM this user has no permissions to run the 'set' command", Cause.DEPENDENCY),
        ("NOREPLICAS Not enough good replicas to write.", Cause.DEPENDENCY),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", Cause.REFUSED),
        ("ERR value is not an integer or out of range", Cause.REFUSED),
    ],
    ids=lambda value: value.name if isinstance(value, Cause) else value.partition(" ")[0],
)
def test_what_redis_answers_is_its_own_state_or_the_records(reply: str, cause: Cause) -> None:
    assert cause_of(_error(reply)) is cause
