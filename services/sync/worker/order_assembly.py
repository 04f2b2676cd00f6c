"""The second step of order files: whole orders, new ones into the shop and onto their way to Kafka."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from services.sync.domain.builtin_mappings import ENDCAP
from services.sync.domain.imports import Import
from services.sync.domain.limits import Limits
from services.sync.domain.orders import (
    INCOMPLETE_CODE,
    Order,
    RejectedLine,
    StagedLine,
    assemble_orders,
    rejected_as_changed,
)
from services.sync.domain.rows import CANCELLATION
from shared import outbox
from shared.events.topics import ORDERS

if TYPE_CHECKING:
    from services.sync.store import Imports, Orders, Staging
    from services.sync.store.orders import Key, Known
    from services.sync.store.staging import RejectedCount
    from shared.postgres import Connection, Database


class OrderAssembly:
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

    async def assemble(self, import_: Import) -> Import:
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
        updated = import_.copy()
        updated.start_step("items")
        async with self._database.transaction() as connection:
            await self._imports.save(connection, updated)
        return updated

    async def _reject_whole_orders(self, import_: Import) -> Import:
        """Refuse the orders of which a row was refused, and those of too many lines."""
        updated = import_.copy()
        updated.position = {"after": ""}
        async with self._database.transaction() as connection:
            rejected = await self._staging.reject_incomplete_orders(
                connection, import_.id, updated.reject_capacity(self._limits)
            )
            _count(updated, rejected, [INCOMPLETE_CODE] * rejected.rejected)
            rejected = await self._staging.reject_oversized_orders(
                connection, import_.id, updated.reject_capacity(self._limits)
            )
            _count(updated, rejected, ["order_too_large"] * rejected.rejected)
            await self._imports.save(connection, updated)
        return updated

    async def _chunk(self, import_: Import, lines: list[StagedLine]) -> Import:
        updated = import_.copy()
        updated.position = {"after": lines[-1].row.order_id}
        orders: list[Order] = []
        rejected: list[RejectedLine] = []
        for order, rejected_lines in assemble_orders(lines):
            rejected += rejected_lines
            if order is not None:
                orders.append(order)
        async with self._database.transaction() as connection:
            new = await self._orders.add(connection, import_, orders)
            others = [order for order in orders if _key(order) not in new]
            known = await self._orders.known(connection, import_.tenant, others) if others else {}
            rejected += _count_orders(updated, orders, known)
            await self._reject(connection, updated, rejected)
            await self._staging.save_filled_lines(
                connection, [line for order in orders for line in order.filled_lines]
            )
            names_cancelled_order = import_.source == ENDCAP.source
            await outbox.append(
                connection,
                ORDERS,
                [
                    order.event(
                        import_.tenant,
                        import_.source or "import",
                        names_cancelled_order=names_cancelled_order,
                    )
                    for order in orders
                    if _key(order) in new
                ],
            )
            await self._imports.save(connection, updated)
        return updated

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


def _count_orders(import_: Import, orders: list[Order], known: dict[Key, Known]) -> list[RejectedLine]:
    """Count each order as new or the same again; return the lines of those that are neither."""
    rejected: list[RejectedLine] = []
    for order in orders:
        before = known.get(_key(order))
        if before is not None and not order.matches(before.content):
            rejected += rejected_as_changed(order)
        elif before is not None and before.import_id != import_.id:
            import_.rows_duplicate += len(order.items)
        else:
            import_.rows_accepted += len(order.items)
            if order.kind == CANCELLATION:
                import_.count_changes(cancellations=1, cancellation_lines=len(order.items))
            else:
                import_.count_changes(orders=1, order_lines=len(order.items))
    return rejected
