"""Assemble the staged lines of an order file into orders, and store and publish the new ones."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from services.sync.domain.builtin_mappings import BUILT_IN, ENDCAP
from services.sync.domain.file_orders import LineKey, Order, Remains, StagedLine
from services.sync.domain.imports import Import
from services.sync.domain.limits import Limits
from services.sync.domain.order_rows import CANCELLATION
from services.sync.domain.orders import INCOMPLETE_CODE, RejectedLine, assemble_orders, rejected_as_changed
from shared import outbox
from shared.events import OrderCancelled, OrderPlaced
from shared.events.topics import ORDERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.sync.store import Erasures, Imports, Orders, Staging
    from services.sync.store.orders import Key, Known
    from services.sync.store.staging import RejectedCount
    from shared.postgres import Connection, Database


class OrderAssembly:
    """Decides whether each order is new, a duplicate, or differs from a known order of the same id."""

    def __init__(
        self,
        database: Database,
        imports: Imports,
        orders: Orders,
        staging: Staging,
        erasures: Erasures,
        *,
        chunk_rows: int,
        limits: Limits,
    ) -> None:
        self._database = database
        self._imports = imports
        self._orders = orders
        self._staging = staging
        self._erasures = erasures
        self._chunk_rows = chunk_rows
        self._limits = limits

    async def assemble(self, import_: Import) -> Import:
        """Process the orders that follow the import's position; return the import in its next step."""
        if not import_.position:
            import_ = await self._reject_whole_orders(import_)
        chunk: list[StagedLine] = []
        async with aclosing(self._staging.lines(import_.id, import_.position["after"])) as lines:
            async for line in lines:
                # An order and its cancellation are in one chunk, since the position is their id.
                if len(chunk) >= self._chunk_rows and line.row.order_id != chunk[-1].row.order_id:
                    import_ = await self._process(import_, chunk)
                    chunk = []
                chunk.append(line)
        if chunk:
            import_ = await self._process(import_, chunk)
        updated = import_.copy()
        updated.start_step("items")
        async with self._database.transaction() as connection:
            await self._imports.save(connection, updated)
        return updated

    async def _reject_whole_orders(self, import_: Import) -> Import:
        """Reject the orders of which a row was rejected, and those with too many lines."""
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

    async def _process(self, import_: Import, lines: list[StagedLine]) -> Import:
        """Store a chunk of orders in one transaction; return the import positioned after it."""
        updated = import_.copy()
        updated.position = {"after": lines[-1].row.order_id}
        orders: list[Order] = []
        rejected: list[RejectedLine] = []
        now = datetime.now(UTC)
        for order, rejected_lines in assemble_orders(lines):
            rejected += rejected_lines
            if order is not None:
                orders.append(order.dated_by(now))
        async with self._database.transaction() as connection:
            orders = await self._without_erased(connection, import_, orders)
            new = await self._orders.add(connection, import_, orders)
            repeated = [order for order in orders if _key(order) not in new]
            known = await self._orders.known(connection, import_.tenant, repeated) if repeated else {}
            rejected += _count_orders(updated, orders, known)
            await self._reject(connection, updated, rejected)
            await self._staging.save_filled_lines(
                connection, [line for order in orders for line in order.filled_lines]
            )
            added = [order for order in orders if _key(order) in new]
            await outbox.append(connection, ORDERS, await self._events(connection, import_, added))
            await self._imports.save(connection, updated)
        return updated

    async def _without_erased(
        self, connection: Connection, import_: Import, orders: list[Order]
    ) -> list[Order]:
        """Return the orders, without the customers who were erased after the order or after the file."""
        users = sorted({order.user_id for order in orders if order.user_id is not None})
        erased = await self._erasures.erased(connection, import_.tenant, users, lock=True) if users else {}
        return [
            order.without_customer()
            if order.user_id in erased and min(order.ordered_at, import_.said_at) <= erased[order.user_id]
            else order
            for order in orders
        ]

    async def _events(
        self, connection: Connection, import_: Import, orders: Sequence[Order]
    ) -> list[OrderPlaced | OrderCancelled]:
        """Return the events of new orders. What a cancellation of the same id undoes is no purchase."""
        names_cancelled_order = _names_cancelled_order(import_)
        remains: dict[LineKey, Remains] = {}
        if orders and names_cancelled_order:
            ids = [order.order_id for order in orders]
            remains = await self._orders.remains(connection, import_.tenant, ids)
        return [
            order.event(
                import_.tenant,
                import_.source or "import",
                names_cancelled_order=names_cancelled_order,
                remains=remains,
            )
            for order in orders
        ]

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


def _names_cancelled_order(import_: Import) -> bool:
    """Return whether a cancellation has the id of its order, and not one that a prefix tells from orders."""
    mapping = import_.own_mapping or BUILT_IN.get(import_.source or "", ENDCAP)
    return mapping.cancellation_prefix is None


def _key(order: Order) -> Key:
    return order.kind, order.order_id


def _count_orders(import_: Import, orders: list[Order], known: dict[Key, Known]) -> list[RejectedLine]:
    """Count each order as new or duplicate; return the lines of those that are neither."""
    rejected: list[RejectedLine] = []
    for order in orders:
        stored = known.get(_key(order))
        if stored is not None and stored.is_followed:
            import_.rows_duplicate += len(order.items)  # its source has the newest version
        elif stored is not None and not order.matches(stored.content):
            rejected += rejected_as_changed(order)
        elif stored is not None and stored.import_id != import_.id:
            import_.rows_duplicate += len(order.items)
        else:
            import_.rows_accepted += len(order.items)
            if order.kind == CANCELLATION:
                import_.count_changes(cancellations=1, cancellation_lines=len(order.items))
            else:
                import_.count_changes(orders=1, order_lines=len(order.items))
    return rejected
