"""The second step of order files: whole orders, new ones into the shop and onto their way to Kafka."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from services.sync.domain.imports import Import
from services.sync.domain.limits import Limits
from services.sync.domain.orders import (
    NOT_WHOLE,
    Order,
    RejectedLine,
    StagedLine,
    changed,
    orders_in,
)
from services.sync.domain.rows import CANCELLATION
from services.sync.domain.sources import ENDCAP
from shared import outbox
from shared.events.topics import ORDERS

if TYPE_CHECKING:
    from services.sync.store import Imports, Orders, Staging
    from services.sync.store.orders import Key, Known
    from services.sync.store.staging import RejectedCount
    from shared.postgres import Connection, Database


class Settling:
    """Decides of each order: new, the same again, or another under a known id."""

    def __init__(
        self,
        database: Database,
        imports: Imports,
        orders: Orders,
        staging: Staging,
        *,
        chunk_rows: int,
        limits: Limits,
    ) -> None:
        self._database = database
        self._imports = imports
        self._orders = orders
        self._staging = staging
        self._chunk_rows = chunk_rows
        self._limits = limits

    async def settle(self, import_: Import) -> Import:
        """Settle every order behind the import's position."""
        if not import_.position:
            import_ = await self._reject_whole_orders(import_)
        waiting: list[StagedLine] = []
        async with aclosing(self._staging.lines(import_.id, import_.position["after"])) as lines:
            async for line in lines:
                # An order and its cancellation are settled together: the position is their id.
                if len(waiting) >= self._chunk_rows and line.row.order_id != waiting[-1].row.order_id:
                    import_ = await self._chunk(import_, waiting)
                    waiting = []
                waiting.append(line)
        if waiting:
            import_ = await self._chunk(import_, waiting)
        later = import_.later()
        later.begin("items")
        async with self._database.transaction() as connection:
            await self._imports.save(connection, later)
        return later

    async def _reject_whole_orders(self, import_: Import) -> Import:
        """Refuse the orders of which a row was refused, and those of too many lines."""
        later = import_.later()
        later.position = {"after": ""}
        async with self._database.transaction() as connection:
            rejected = await self._staging.reject_incomplete_orders(
                connection, import_.id, later.reject_capacity(self._limits)
            )
            _count(later, rejected, [NOT_WHOLE] * rejected.rejected)
            rejected = await self._staging.reject_oversized_orders(
                connection, import_.id, later.reject_capacity(self._limits)
            )
            _count(later, rejected, ["order_too_large"] * rejected.rejected)
            await self._imports.save(connection, later)
        return later

    async def _chunk(self, import_: Import, lines: list[StagedLine]) -> Import:
        later = import_.later()
        later.position = {"after": lines[-1].row.order_id}
        orders: list[Order] = []
        rejected: list[RejectedLine] = []
        for order, rejected_lines in orders_in(lines):
            rejected += rejected_lines
            if order is not None:
                orders.append(order)
        async with self._database.transaction() as connection:
            new = await self._orders.add(connection, import_, orders)
            others = [order for order in orders if _key(order) not in new]
            known = await self._orders.known(connection, import_.tenant, others) if others else {}
            rejected += _account_for(later, orders, known)
            await self._reject(connection, later, rejected)
            await self._staging.carry(connection, [line for order in orders for line in order.carried])
            names_its_order = import_.source == ENDCAP.source
            await outbox.append(
                connection,
                ORDERS,
                [
                    order.event(import_.tenant, import_.source or "import", names_its_order=names_its_order)
                    for order in orders
                    if _key(order) in new
                ],
            )
            await self._imports.save(connection, later)
        return later

    async def _reject(self, connection: Connection, import_: Import, rejected: list[RejectedLine]) -> None:
        moved = await self._staging.reject_lines(
            connection, import_.id, rejected, import_.reject_capacity(self._limits)
        )
        _count(import_, moved, [line.code for line in rejected])


def _count(import_: Import, rejected: RejectedCount, codes: list[str]) -> None:
    import_.count_rejected(codes)
    import_.rows_staged -= len(codes)
    import_.rejects_kept += rejected.kept
    import_.reject_bytes += rejected.bytes


def _key(order: Order) -> Key:
    return order.kind, order.order_id


def _account_for(import_: Import, orders: list[Order], known: dict[Key, Known]) -> list[RejectedLine]:
    """Count each order as new or the same again; return the lines of those that are neither."""
    rejected: list[RejectedLine] = []
    for order in orders:
        before = known.get(_key(order))
        if before is not None and not order.is_content(before.content):
            rejected += changed(order)
        elif before is not None and before.import_id != import_.id:
            import_.rows_duplicate += len(order.items)
        else:
            import_.rows_accepted += len(order.items)
            if order.kind == CANCELLATION:
                import_.change(cancellations=1, cancellation_lines=len(order.items))
            else:
                import_.change(orders=1, order_lines=len(order.items))
    return rejected
