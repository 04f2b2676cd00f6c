"""Puts of items, and the state that they leave."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.sync.domain.catalogue import State, merge_put
from shared.events import ItemPut, UserPut

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def an_item_put(**fields: Any) -> ItemPut:
    return ItemPut(event_id="e", tenant="default", occurred_at=NOON, item_id="a", fields=fields)


def put_into(*puts: ItemPut | UserPut) -> State:
    state = State("a", is_new=True)
    for put in puts:
        merge_put(state, put, NOON)
    return state
