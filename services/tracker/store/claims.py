"""Resolve events that claim an order line: the shop's order replaces claims that contradict it.

An API key that may send events is public, and the id of an order line can be computed from the order, so
anyone may send a claim before the shop sends the order. See docs/decisions/0011-events-once.
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
"""The source of the shop's orders. An event of any other source is a claim."""

ToColumns = Callable[[Sequence[InteractionRecorded]], Mapping[str, Sequence[Any]]]
Key = tuple[str, str]
"""(tenant, event id)."""


@dataclass(frozen=True, slots=True)
class ClaimResult:
    """The outcome of repeated events that are about order lines."""

    confirmed: int = 0
    replaced: int = 0
    contradicting: int = 0
    """Claims that arrived after the order and contradict it."""
    corrections: tuple[InteractionRecorded, ...] = ()
    """Events to publish: the stored event in place of each claim."""


NO_CLAIMS = ClaimResult()


async def resolve_repeated(
    connection: Connection, repeated: Sequence[InteractionRecorded], to_columns: ToColumns
) -> tuple[int, ClaimResult]:
    """Compare repeated events with the stored ones, in the transaction that stores the new events.

    Return the number of new conflicts, and the outcome of claims. A second call with the same events returns
    the same corrections, so that they are published at least once.
    """
    order_lines = {(event.tenant, event.event_id): event for event in repeated if event.source == ORDER}
    confirmed, replaced = await _apply_orders(connection, list(order_lines.values()), to_columns)
    conflicts = await _add_conflicts(connection, repeated)
    contradicting = [repeated[row["place"] - 1] for row in conflicts if row["is_of_order"]]
    claims = dict.fromkeys(await _contradicted_claims(connection, list(order_lines)))
    for event in contradicting:
        claims[(event.tenant, event.event_id), Claim.model_validate(event, from_attributes=True)] = None
    conflicting = replaced + (conflicts[0]["added"] if conflicts else 0)
    return conflicting, ClaimResult(
        confirmed=confirmed,
        replaced=replaced,
        contradicting=len(contradicting),
        corrections=await _corrections(connection, claims) if claims else (),
    )


async def _apply_orders(
    connection: Connection, order_lines: list[InteractionRecorded], to_columns: ToColumns
) -> tuple[int, int]:
    """Let order lines confirm or replace the claims stored under their ids; return how many of each."""
    if not order_lines:
        return 0, 0
    confirmed, replaced = await connection.fetchrow(*SQL.apply_orders(**to_columns(order_lines))) or (0, 0)
    return confirmed, replaced


async def _add_conflicts(
    connection: Connection, repeated: Sequence[InteractionRecorded]
) -> list[asyncpg.Record]:
    """Store the events whose content differs from the stored one; return their positions, from 1."""
    rows: list[asyncpg.Record] = await connection.fetch(
        *SQL.add_conflicts(
            tenant=[event.tenant for event in repeated],
            event_id=[event.event_id for event in repeated],
            fingerprint=[fingerprint(event) for event in repeated],
            event=[event.model_dump(mode="json", exclude_none=True) for event in repeated],
            user_id=[event.user_id for event in repeated],
            source=[event.source for event in repeated],
            occurred_at=[event.occurred_at for event in repeated],
        )
    )
    return rows


async def _contradicted_claims(connection: Connection, keys: list[Key]) -> list[tuple[Key, Claim]]:
    """Return the claims that the orders with these ids contradict."""
    if not keys:
        return []
    tenants, event_ids = zip(*keys, strict=True)
    rows = await connection.fetch(*SQL.contradicted_claims(tenant=tenants, event_id=event_ids))
    return [((tenant, event_id), Claim.model_validate(event)) for tenant, event_id, event in rows]


async def _corrections(
    connection: Connection, claims: Iterable[tuple[Key, Claim]]
) -> tuple[InteractionRecorded, ...]:
    """Return the stored event of each claim, marked as its replacement."""
    tenants, event_ids = zip(*dict.fromkeys(key for key, _ in claims), strict=True)
    rows = await connection.fetch(*SQL.events_by_id(tenant=tenants, event_id=event_ids))
    stored = {(row["tenant"], row["event_id"]): InteractionRecorded(**dict(row)) for row in rows}
    return tuple(stored[key].model_copy(update={"replaces": claim}) for key, claim in claims if key in stored)
