"""Purchases, their orders, and the touches that they are attributed to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from services.analytics.domain.facts import Login, Purchase, Touch, earlier, merged, purchase_facts
from services.analytics.domain.figures import Bucket, Changes, hour_of
from services.analytics.metrics import PURCHASES
from services.analytics.store.answers import AnswerKey, update_conversions
from services.analytics.store.sql import SQL, columns

if TYPE_CHECKING:
    from uuid import UUID

    from shared.events import InteractionRecorded
    from shared.postgres import Connection

PurchaseKey = tuple[str, str]
"""(tenant, event id)."""
Person = tuple[str, str | None, str | None, str | None]
"""(tenant, user, session, item): whose purchases, and of which item; of all items if it is None."""

_ATTRIBUTED, _REVOKED = (PURCHASES.labels(outcome) for outcome in ("attributed", "revoked"))
_ATTRIBUTION = ("attributed_to", "attributed_position", "attributed_series", "attributed_item_series")


@dataclass(frozen=True, slots=True)
class Attribution:
    """The rule of attribution: within which time, and to the last touch or the first."""

    window: timedelta
    touch: str = "last"

    @property
    def direction(self) -> int:
        """Return 1 for the last touch, -1 for the first."""
        return 1 if self.touch == "last" else -1


@dataclass(frozen=True, slots=True)
class StoredPurchases:
    """Purchases of a batch, and the touches and logins that they are."""

    keys: set[PurchaseKey]
    touches: list[Touch]
    logins: list[Login]


async def put_purchases(
    connection: Connection, events: Sequence[InteractionRecorded], changes: Changes
) -> StoredPurchases:
    """Store purchases and count them and their orders; a repetition changes nothing."""
    keys = {(event.tenant, event.event_id) for event in events}
    stored = StoredPurchases(set(), [], [])
    if not keys:
        return stored
    rows = await connection.fetch(*SQL.purchases_by_id(**columns("tenants event_ids", sorted(keys))))
    before = {(row["tenant"], row["event_id"]): row for row in rows}
    changed: list[tuple[Any, ...]] = []
    orders: set[tuple[str, UUID]] = set()
    for key, (claim, line) in _statements(events, before).items():
        row, after = before.get(key), merged(*key, claim, line)
        if after is None or (row is not None and (row["claim"], row["line"]) == (claim, line)):
            continue
        changed.append((*key, claim, line, *after))
        orders |= {(key[0], after.order_key)}
        if row is not None:
            orders |= {(key[0], row["order_key"])}
            _count(changes, key[0], row, -1)
            _withdraw(changes, key[0], row)
        _count(changes, key[0], after._asdict(), 1)
        _collect(stored, key, after)
    if changed:
        names = (
            "tenants event_ids claims lines user_ids session_ids item_ids order_keys times units revenues ids"
        )
        await connection.execute(*SQL.put_purchases(**columns(names, changed)))
        own = columns("tenants event_ids", sorted(stored.keys))
        await connection.execute(*SQL.delete_own_touches(**own))
        await _unset(connection, [before[key] for key in sorted(stored.keys) if key in before], changes)
        await count_orders(connection, orders, changes)
    return stored


def _statements(
    events: Iterable[InteractionRecorded], before: Mapping[PurchaseKey, Any]
) -> dict[PurchaseKey, tuple[dict[str, Any] | None, dict[str, Any] | None]]:
    """Return the claim and the order's line of each id, of the stored rows and the events together."""
    statements: dict[PurchaseKey, tuple[dict[str, Any] | None, dict[str, Any] | None]] = {
        key: (row["claim"], row["line"]) for key, row in before.items()
    }
    for event in events:
        key = (event.tenant, event.event_id)
        claim, line = statements.get(key, (None, None))
        if event.source == "order":
            line = earlier(line, purchase_facts(event))
        else:
            claim = earlier(claim, purchase_facts(event))
        statements[key] = (claim, line)
    return statements


def _collect(stored: StoredPurchases, key: PurchaseKey, purchase: Purchase) -> None:
    tenant, event_id = key
    stored.keys.add(key)
    user_id, session_id, at = purchase.user_id, purchase.session_id, purchase.occurred_at
    if purchase.recommendation_id is not None:
        stored.touches.append(
            Touch(
                tenant,
                event_id,
                True,
                purchase.recommendation_id,
                purchase.item_id,
                user_id,
                session_id,
                at,
            )
        )
    if user_id is not None and session_id is not None and user_id != session_id:
        stored.logins.append(Login(tenant, session_id, user_id, at))


def _count(changes: Changes, tenant: str, purchase: Mapping[str, Any], sign: int) -> None:
    hour = hour_of(purchase["occurred_at"])
    changes.measure(tenant, hour, "purchases", sign)
    changes.measure(tenant, hour, "units", sign * purchase["units"])
    changes.measure(tenant, hour, "revenue", sign * purchase["revenue"])


def _withdraw(changes: Changes, tenant: str, row: Mapping[str, Any]) -> None:
    """Remove a purchase from the figures of what it was attributed to."""
    if row["attributed_to"] is not None:
        _sold(changes, tenant, row, (row["attributed_series"], row["attributed_item_series"]), -1)


def _sold(changes: Changes, tenant: str, row: Mapping[str, Any], series: Iterable[int], sign: int) -> None:
    hour = hour_of(row["occurred_at"])
    for series_id in series:
        bucket = Bucket(tenant, hour, series_id)
        changes.add(bucket, "purchases", sign)
        changes.add(bucket, "units", sign * row["units"])
        changes.add(bucket, "revenue", sign * row["revenue"])


async def _unset(connection: Connection, rows: Sequence[Mapping[str, Any]], changes: Changes) -> None:
    """Clear the attribution of purchases whose facts changed; `attribute` sets it anew."""
    attributed = [row for row in rows if row["attributed_to"] is not None]
    if attributed:
        cleared = [(row["tenant"], row["event_id"], None, None, None, None) for row in attributed]
        await _store(connection, cleared)
        keys = {(row["tenant"], row["attributed_to"]) for row in attributed}
        await update_conversions(connection, keys, changes)


async def count_orders(
    connection: Connection, orders: Collection[tuple[str, UUID]], changes: Changes
) -> None:
    """Count orders under the hour of their first line."""
    rows = await connection.fetch(*SQL.order_hours(**columns("tenants order_keys", sorted(orders))))
    stored, gone = [], []
    for row in rows:
        hour = None if row["first_at"] is None else hour_of(row["first_at"])
        if hour == row["hour"]:
            continue
        if row["hour"] is not None:
            changes.measure(row["tenant"], row["hour"], "orders", -1)
        if hour is None:
            gone.append((row["tenant"], row["order_key"]))
        else:
            changes.measure(row["tenant"], hour, "orders", 1)
            stored.append((row["tenant"], row["order_key"], hour))
    if stored:
        await connection.execute(*SQL.put_orders(**columns("tenants order_keys hours", stored)))
    if gone:
        await connection.execute(*SQL.delete_orders(**columns("tenants order_keys", gone)))


async def purchases_of(connection: Connection, persons: Collection[Person]) -> set[PurchaseKey]:
    """Return the purchases of persons, before and after their logins."""
    if not persons:
        return set()
    parameters = columns("tenants user_ids session_ids item_ids", persons)
    return {
        (row["tenant"], row["event_id"]) for row in await connection.fetch(*SQL.purchases_of(**parameters))
    }


async def attribute(
    connection: Connection, keys: Collection[PurchaseKey], rule: Attribution, changes: Changes
) -> int:
    """Attribute purchases to the touches that are known now; return the number of changed attributions."""
    if not keys:
        return 0
    rows = await connection.fetch(
        *SQL.attributions(
            **columns("tenants event_ids", sorted(keys)),
            attribution_window=rule.window,
            direction=rule.direction,
        )
    )
    stored: list[tuple[Any, ...]] = []
    answers: set[AnswerKey] = set()
    for row in rows:
        tenant = row["tenant"]
        # A touch whose answer was deleted because of its age leaves an attribution as it is.
        target = (row["recommendation_id"], row["position"], row["series_id"], row["item_series"])
        if target == tuple(row[name] for name in _ATTRIBUTION) or (
            row["position"] is not None and None in target
        ):
            continue
        if row["attributed_to"] is not None:
            _withdraw(changes, tenant, row)
            answers.add((tenant, row["attributed_to"]))
            _REVOKED.inc()
        if row["recommendation_id"] is not None:
            _sold(changes, tenant, row, target[2:], 1)
            answers.add((tenant, row["recommendation_id"]))
            _ATTRIBUTED.inc()
        stored.append((tenant, row["event_id"], *target))
    if stored:
        await _store(connection, stored)
        await update_conversions(connection, answers, changes)
    return len(stored)


async def _store(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    names = "tenants event_ids ids positions series_ids item_series"
    await connection.execute(*SQL.set_attributions(**columns(names, rows)))
