"""Merge what a source says into the shop: orders with their versions, items, users, carts and erasures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from services.sync.domain.catalogue import to_microseconds
from services.sync.domain.order_revisions import FollowedOrder, Revision, is_older, revise, revise_returns
from services.sync.domain.records import (
    CartRecord,
    ErasureRecord,
    ItemRecord,
    OrderRecord,
    Record,
    RefundRecord,
    UserRecord,
)
from services.sync.metrics import STATES_REJECTED
from shared import outbox
from shared.events import InteractionRecorded, derived_id
from shared.events.topics import INTERACTIONS, ORDERS

if TYPE_CHECKING:
    from services.sync.store import Catalogue, Erasures, FollowedOrders
    from shared.postgres import Connection

_CLOCK_SKEW = timedelta(minutes=5)


class Origin(NamedTuple):
    """The source of records, and when they arrived."""

    tenant: str
    source_id: str
    name: str
    received_at: datetime


class Update(NamedTuple):
    """New values of an item or user; `at` is in microseconds since 1970."""

    id: str
    fields: dict[str, Any]
    attributes: dict[str, Any]
    at: int


class RecordMerge:
    """Merges records and appends their events, in the caller's transaction. A repetition changes nothing."""

    def __init__(self, orders: FollowedOrders, catalogue: Catalogue, erasures: Erasures) -> None:
        self._orders = orders
        self._catalogue = catalogue
        self._erasures = erasures

    async def merge(self, connection: Connection, origin: Origin, records: Sequence[Record]) -> int:
        """Merge the records; return how many of them changed something.

        Raises Permanent for one that the shop can't hold; then the caller must roll back.
        """
        items: list[Update] = []
        users: list[Update] = []
        changed = 0
        await self._catalogue.lock(connection, origin.tenant)
        for record in records:
            match record:
                case OrderRecord():
                    revision = await self._merge_order(connection, origin, record)
                    changed += revision is not None
                    if revision is not None:
                        items += _items_of(revision)
                        users += _users_of(revision.order)
                case RefundRecord():
                    changed += await self._merge_refund(connection, origin, record)
                case ItemRecord():
                    items.append(Update(record.item_id, *_values(record, origin)))
                case UserRecord():
                    users.append(Update(record.user_id, *_values(record, origin)))
                case CartRecord():
                    changed += await self._add_to_cart(connection, origin, record)
                case ErasureRecord():
                    changed += await self._erasures.request(
                        connection, origin.tenant, origin.source_id, record.user_id, origin.received_at
                    )
        changed += await self._save_items(connection, origin.tenant, items)
        return changed + await self._save_users(connection, origin, users)

    async def _merge_order(
        self, connection: Connection, origin: Origin, record: OrderRecord
    ) -> Revision | None:
        # With a clock of the source that runs ahead, the order would be later than its customer's erasure.
        record = record.model_copy(update={"ordered_at": min(record.ordered_at, origin.received_at)})
        if record.user_id is not None:
            erased = await self._erasures.erased(connection, origin.tenant, [record.user_id])
            if record.ordered_at <= erased.get(record.user_id, record.ordered_at - _CLOCK_SKEW):
                record = record.model_copy(update={"user_id": None, "customer_name": None, "city": None})
        stored = await self._orders.by_id(connection, origin.tenant, record.order_id)
        is_old = stored is not None and is_older(record, stored)
        returned = await self._orders.add_returns(
            connection, origin.tenant, record.order_id, record.returns, replaces=not is_old
        )
        return await self._save(
            connection, origin, revise(stored, record, returned), record.updated_at or origin.received_at
        )

    async def _merge_refund(self, connection: Connection, origin: Origin, record: RefundRecord) -> bool:
        returned = await self._orders.add_returns(
            connection, origin.tenant, record.order_id, record.returns, replaces=False
        )
        stored = await self._orders.by_id(connection, origin.tenant, record.order_id)
        change = None if stored is None else revise_returns(stored, returned)
        return await self._save(connection, origin, change, record.at) is not None

    async def _save(
        self, connection: Connection, origin: Origin, change: Revision | FollowedOrder | None, at: datetime
    ) -> Revision | None:
        if isinstance(change, FollowedOrder):
            await self._orders.save_time(connection, origin.tenant, change)
        if not isinstance(change, Revision):
            return None
        await self._orders.save(connection, origin.tenant, change.order, origin.name, origin.source_id)
        at = min(at, origin.received_at)
        events = change.events(origin.tenant, origin.name, at, origin.received_at)
        await outbox.append(connection, ORDERS, events)
        return change

    async def _add_to_cart(self, connection: Connection, origin: Origin, record: CartRecord) -> bool:
        """Publish an event for the first time that a product is in a cart; return whether it can be one."""
        subject = record.session_id or record.user_id
        if subject is None:
            return False
        event = InteractionRecorded(
            event_id=derived_id(origin.tenant, "cart", origin.source_id, subject, record.item_id),
            tenant=origin.tenant,
            occurred_at=record.at,
            received_at=origin.received_at,
            user_id=record.user_id,
            session_id=record.session_id,
            event_type="add_to_cart",
            item_id=record.item_id,
            quantity=record.quantity,
            price=record.price,
            source="backend",
        )
        await outbox.append(connection, INTERACTIONS, [event])
        return True

    async def _save_items(self, connection: Connection, tenant: str, updates: Sequence[Update]) -> int:
        if not updates:
            return 0
        ids = list(dict.fromkeys(update.id for update in updates))
        states = await self._catalogue.items_to_merge(connection, tenant, ids)
        for update in updates:
            state = states[update.id]
            if state.rejection is None:
                state.put(update.fields, update.attributes, update.at)
            else:
                STATES_REJECTED.labels("items", "quota_reached").inc()
        return await self._catalogue.save_items(connection, tenant, states)

    async def _save_users(self, connection: Connection, origin: Origin, updates: Sequence[Update]) -> int:
        if not updates:
            return 0
        tenant, received_at = origin.tenant, to_microseconds(origin.received_at)
        ids = list(dict.fromkeys(update.id for update in updates))
        states = await self._catalogue.users_to_merge(connection, tenant, ids)
        erased = await self._erasures.erased(connection, tenant, ids)
        remaining = [
            update
            for update in updates
            if update.id not in erased or min(update.at, received_at) > to_microseconds(erased[update.id])
        ]
        for update in remaining:
            state = states[update.id]
            if state.rejection is None:
                state.put(update.fields, update.attributes, update.at)
            else:
                STATES_REJECTED.labels("users", "quota_reached").inc()
        changed = {update.id: states[update.id] for update in remaining}
        return await self._catalogue.save_users(connection, tenant, changed)


def _values(record: ItemRecord | UserRecord, origin: Origin) -> tuple[dict[str, Any], dict[str, Any], int]:
    at = min(record.updated_at or origin.received_at, origin.received_at + _CLOCK_SKEW)
    return record.fields, record.attributes, to_microseconds(at)


def _items_of(revision: Revision) -> list[Update]:
    """Return what the lines of an order say of their items."""
    order, at = revision.order, to_microseconds(revision.order.ordered_at)
    updates = []
    for line in order.lines:
        fields = {"name": line.name, "category": line.category, "price": line.price}
        fields |= {"currency": order.currency} if line.price is not None else {}
        present = {name: value for name, value in fields.items() if value is not None}
        updates.append(Update(line.product_id, present, {}, at))
    return updates


def _users_of(order: FollowedOrder) -> list[Update]:
    """Return what an order says of its user."""
    if order.user_id is None:
        return []
    fields = {
        "name": order.customer_name,
        "city": order.city,
        "province": order.province,
        "country": order.country,
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return [Update(order.user_id, present, {}, to_microseconds(order.ordered_at))]
