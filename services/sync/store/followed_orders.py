"""Orders that a source follows: their newest version, all earlier ones, and returns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import orjson

from services.sync.domain.order_revisions import FollowedLine, FollowedOrder, return_line
from services.sync.domain.records import ReturnRecord
from services.sync.store.statements import SQL

if TYPE_CHECKING:
    from shared.postgres import Connection


class FollowedOrders:
    """Reads and writes orders in the transaction of the caller, who has locked the tenant."""

    async def by_id(self, connection: Connection, tenant: str, order_id: str) -> FollowedOrder | None:
        """Return the newest version of an order, and lock it; None if it is unknown."""
        row = await connection.fetchrow(*SQL.followed_order(tenant=tenant, order_id=order_id))
        if row is None:
            return None
        lines = await connection.fetch(*SQL.followed_lines(tenant=tenant, order_id=order_id))
        return FollowedOrder(**row, lines=tuple(FollowedLine(**line) for line in lines))

    async def add_returns(
        self,
        connection: Connection,
        tenant: str,
        order_id: str,
        returns: Sequence[ReturnRecord],
        *,
        replaces: bool,
    ) -> dict[str, float]:
        """Store returns of an order; return all returned quantities by line.

        With `replaces` a known return takes the new quantity; an old version of the order must not do that.
        """
        if returns:
            await connection.execute(
                *SQL.add_returns(
                    tenant=tenant,
                    order_id=order_id,
                    return_ids=[entry.return_id for entry in returns],
                    lines=[return_line(entry) for entry in returns],
                    quantities=[entry.quantity or 0.0 for entry in returns],
                    replace=replaces,
                )
            )
        rows = await connection.fetch(*SQL.returns_of_order(tenant=tenant, order_id=order_id))
        return {row["line"]: row["quantity"] for row in rows}

    async def save(
        self, connection: Connection, tenant: str, order: FollowedOrder, source: str, source_id: str
    ) -> None:
        """Write a version of an order, and keep it in its history without the person."""
        lines = [asdict(line) for line in order.lines]
        person = {"user_id": order.user_id, "customer_name": order.customer_name}
        place = {"city": order.city, "province": order.province, "country": order.country}
        common: dict[str, Any] = {"tenant": tenant, "order_id": order.order_id, "currency": order.currency}
        common |= {**person, **place, "ordered_at": order.ordered_at}
        await connection.execute(
            *SQL.save_followed_order(
                **common,
                line_count=len(lines),
                content=hashlib.sha256(orjson.dumps(lines)).digest(),
                source=source,
                source_id=source_id,
                revision=order.revision,
                status=order.status,
                bought=order.bought,
                changed_at=order.changed_at,
            )
        )
        if lines:
            await connection.execute(
                *SQL.save_followed_lines(
                    **common,
                    product_ids=[line.product_id for line in order.lines],
                    ns=[line.n for line in order.lines],
                    names=[line.name for line in order.lines],
                    categories=[line.category for line in order.lines],
                    prices=[line.price for line in order.lines],
                    quantities=[line.quantity for line in order.lines],
                    keys=[line.key for line in order.lines],
                    remainings=[line.remaining for line in order.lines],
                )
            )
        await connection.execute(
            *SQL.add_order_version(
                tenant=tenant,
                order_id=order.order_id,
                revision=order.revision,
                source=source,
                status=order.status,
                changed_at=order.changed_at,
                lines=lines,
            )
        )

    async def save_time(self, connection: Connection, tenant: str, order: FollowedOrder) -> None:
        """Move the time of the newest version, which changed nothing else."""
        await connection.execute(
            *SQL.save_order_time(tenant=tenant, order_id=order.order_id, changed_at=order.changed_at)
        )
