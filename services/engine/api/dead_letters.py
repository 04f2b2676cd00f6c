"""Dead letters: records that a service could not handle, listed, shown and published again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from services.engine.store.dead_letters import DeadLetters, ListedLetter
from shared.auth import Authenticator, Principal
from shared.errors import ApiError, Permanent
from shared.http.runtime import ErrorBody
from shared.kafka import DeadLetter, Place, Record
from shared.kafka.records import MAX_RECORD_BYTES

Id = Annotated[str, Path(max_length=240, description="the id in the list of letters")]
Named = Annotated[str | None, Query(max_length=200)]

_MISSING: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorBody, "description": "The tenant has no such letter, or Kafka keeps it no longer."}
}
_PARTIAL: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorBody, "description": "The letter does not contain the record."}
}


class Letter(BaseModel):
    """A dead letter without the record."""

    id: str
    topic: str = Field(description="the topic of the record")
    consumer: str = Field(description="the service that could not handle it")
    group: str | None = Field(description="the consumer group of the service")
    error: str | None = Field(description="the reason for programs, such as invalid or refused")
    reason: str | None = Field(description="the reason as a sentence")
    attempts: int | None = Field(description="how often the record was tried")
    failed_at: datetime | None
    event_type: str | None = Field(description="the class of the event, such as endcap.OrderPlaced.v1")
    event_id: str | None
    key: str | None
    bytes: int = Field(description="the size of the record's value")
    replayable: bool = Field(
        description="whether the letter contains the record; one that was too large for Kafka is not in it"
    )
    replayed_at: datetime | None = Field(description="when the record was published again")


class Letters(BaseModel):
    """Dead letters, newest first."""

    dead_letters: list[Letter]
    complete: bool = Field(description="false if there are older letters that were not looked at")


class WholeLetter(Letter):
    """A dead letter with its record."""

    headers: dict[str, str | None]
    value: str | None = Field(description="the value as text; bytes that are not UTF-8 are replaced")


class Mended(BaseModel):
    """The value with which a record is published in place of its own."""

    model_config = ConfigDict(extra="forbid")

    value: str = Field(max_length=MAX_RECORD_BYTES, description="the event as JSON, with the same event_id")


class Replay(BaseModel):
    """The outcome of a replay."""

    id: str
    topic: str
    status: Literal["replayed", "replayed before"]
    replayed_at: datetime


def router(letters: DeadLetters, authenticator: Authenticator) -> APIRouter:
    """Return the routes."""
    api = APIRouter(prefix="/v1/dead-letters", tags=["Dead letters"])
    admin = Depends(authenticator.require("admin"))

    @api.get("", operation_id="dead_letters", summary="Dead letters of the tenant")
    async def newest(
        principal: Principal = admin,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
        topic: Named = None,
        consumer: Named = None,
    ) -> Letters:
        """Return the newest records that services could not handle, of one topic or service if named."""
        listed, is_complete = await letters.newest(principal.own_tenant, limit, topic, consumer)
        return Letters(dead_letters=[Letter(**_members(each)) for each in listed], complete=is_complete)

    @api.get("/{id}", operation_id="dead_letter", summary="One dead letter", responses=_MISSING)
    async def shown(id: Id, principal: Principal = admin) -> WholeLetter:  # noqa: A002 - the name in the path
        """Return a letter with its record."""
        listed = await _find(letters, principal, id)
        record = listed.letter.record
        headers = {name: _text(content) for name, content in record.headers}
        return WholeLetter(**_members(listed), headers=headers, value=_text(record.value))

    @api.post(
        "/{id}/replay",
        operation_id="replay_dead_letter",
        summary="Publish a record again",
        responses=_MISSING | _PARTIAL,
    )
    async def replay(
        id: Id,  # noqa: A002 - the name in the path
        principal: Principal = admin,
        mended: Mended | None = None,
    ) -> Replay:
        """Publish the record of a letter to its topic once, mended if a body says how.

        A repeated call changes nothing. All consumers of the topic get the record, and those that have
        handled it recognize its id. If it fails again, it becomes another letter. Raise ApiError (409) if the
        letter does not contain the record, and (400) for a value that is no event of the topic, the tenant
        and the id.
        """
        listed = await _find(letters, principal, id)
        letter = listed.letter
        if mended is None and not letter.is_whole:
            detail = "The record was too large for a letter, so it can't be published again from here."
            raise ApiError(409, "PartialLetter", detail)
        by = principal.credential or principal.kind
        record = letter.record if mended is None else _mended(letter, mended.value)
        replayed_at = await letters.replay(principal.own_tenant, letter, by, record)
        if replayed_at is not None:
            return Replay(id=id, topic=letter.topic, status="replayed", replayed_at=replayed_at)
        before = (await _find(letters, principal, id)).replayed_at
        if before is None:
            raise _missing(id)
        return Replay(id=id, topic=letter.topic, status="replayed before", replayed_at=before)

    return api


def _mended(letter: DeadLetter, value: str) -> Record:
    """Return the record with a value from a caller; raise ApiError (400) if it is not such an event."""
    try:
        return letter.mended(value.encode())
    except (Permanent, UnicodeEncodeError) as error:
        raise ApiError(400, "InvalidRecord", f"The mended record can't be read: {error}.") from None


async def _find(letters: DeadLetters, principal: Principal, identifier: str) -> ListedLetter:
    """Return a letter of the caller's tenant; raise ApiError (404) if there is none."""
    place = Place.of_id(identifier)
    listed = None if place is None else await letters.find(principal.own_tenant, place)
    if listed is None:
        raise _missing(identifier)
    return listed


def _members(listed: ListedLetter) -> dict[str, Any]:
    letter = listed.letter
    attempts = letter.reasons["dlq-attempts"]
    return {
        "id": str(letter.place),
        "topic": letter.topic,
        "consumer": letter.consumer,
        "group": letter.reasons["dlq-group"],
        "error": letter.reasons["dlq-error-class"],
        "reason": letter.reasons["dlq-reason"],
        "attempts": int(attempts) if attempts and attempts.isdigit() else None,
        "failed_at": _instant(letter),
        "event_type": letter.ce("type") or None,
        "event_id": letter.ce("id") or None,
        "key": _text(letter.record.key),
        "bytes": letter.size,
        "replayable": letter.is_whole,
        "replayed_at": listed.replayed_at,
    }


def _instant(letter: DeadLetter) -> datetime | None:
    try:
        return datetime.fromisoformat(letter.reasons["dlq-failed-at"] or "")
    except ValueError:
        return None


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")


def _missing(identifier: str) -> ApiError:
    detail = f"There is no dead letter {identifier!r}: GET /v1/dead-letters lists the ids."
    return ApiError(404, "UnknownDeadLetter", detail)
