"""What was claimed of the shop's orders: the order wins, and whoever had counted the claim is told.

A key that may send events is public by nature, and the id of an order's line follows from the order: whoever
guesses it may come before the shop. See docs/decisions/0011-events-once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from services.tracker.domain.fingerprint import fingerprint
from services.tracker.store.tenants import SQL
from shared.events import Claim, InteractionRecorded

if TYPE_CHECKING:
    import asyncpg

    from shared.postgres import Connection

ORDER = "order"
"""The source of what the shop's orders say; any other event only claims to be of an order."""

Columns = Callable[[Sequence[InteractionRecorded]], Mapping[str, Sequence[Any]]]
Key = tuple[str, str]
"""(tenant, event id)."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of events whose ids were there before, as far as orders are concerned."""

    confirmed: int = 0
    replaced: int = 0
    refused: int = 0
    """Claims that came behind the order and contradict it."""
    corrections: tuple[InteractionRecorded, ...] = ()
    """To be published: what holds in place of each claim."""


NOTHING = Settled()


async def settle(
    connection: Connection, again: Sequence[InteractionRecorded], columns: Columns
) -> tuple[int, Settled]:
    """Compare events with those that are kept under their ids, in the transaction that keeps the others.

    Return how many conflicts were noted for the first time, and what became of claims. Repeating it gives the
    same corrections, so that they are published at least once.
    """
    lines = {(event.tenant, event.event_id): event for event in again if event.source == ORDER}
    confirmed = replaced = 0
    if lines:
        row = await connection.fetchrow(*SQL.settle_claims(**columns(list(lines.values()))))
        confirmed, replaced = row or (0, 0)
    contrary = await _contrary(connection, again)
    late = [again[row["place"] - 1] for row in contrary if row["is_of_order"]]
    claims: dict[tuple[Key, Claim], None] = {}
    if lines:
        tenants, ids = zip(*lines, strict=True)
        for tenant, event_id, event in await connection.fetch(
            *SQL.claims_against(tenant=tenants, event_id=ids)
        ):
            claims[(tenant, event_id), Claim.model_validate(event)] = None
    for event in late:
        claims[(event.tenant, event.event_id), Claim.model_validate(event, from_attributes=True)] = None
    conflicting = replaced + (contrary[0]["noted"] if contrary else 0)
    return conflicting, Settled(
        confirmed=confirmed,
        replaced=replaced,
        refused=len(late),
        corrections=await _corrections(connection, claims) if claims else (),
    )


async def _contrary(connection: Connection, again: Sequence[InteractionRecorded]) -> list[asyncpg.Record]:
    """Note the events that say something else than what is kept; return their places from 1."""
    rows: list[asyncpg.Record] = await connection.fetch(
        *SQL.note_conflicts(
            tenant=[event.tenant for event in again],
            event_id=[event.event_id for event in again],
            fingerprint=[fingerprint(event) for event in again],
            event=[event.model_dump(mode="json", exclude_none=True) for event in again],
            user_id=[event.user_id for event in again],
            source=[event.source for event in again],
            occurred_at=[event.occurred_at for event in again],
        )
    )
    return rows


async def _corrections(
    connection: Connection, claims: Iterable[tuple[Key, Claim]]
) -> tuple[InteractionRecorded, ...]:
    tenants, ids = zip(*dict.fromkeys(key for key, _ in claims), strict=True)
    rows = await connection.fetch(*SQL.kept_events(tenant=tenants, event_id=ids))
    kept = {(row["tenant"], row["event_id"]): InteractionRecorded(**dict(row)) for row in rows}
    return tuple(kept[key].model_copy(update={"replaces": claim}) for key, claim in claims if key in kept)
