"""Names of items: people know them, and not the ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.dashboard.store.services import Services

MOST = 200
"""Items of a request, as many as sync takes."""


async def item_names(services: Services, tenant: str, item_ids: Iterable[str | None]) -> dict[str, str]:
    """Return the names of the first `MOST` items, by id; without those that sync does not name."""
    chosen = list(dict.fromkeys(item_id for item_id in item_ids if item_id))[:MOST]
    if not chosen:
        return {}
    reply = await services.get(tenant, "sync", "/v1/items", id=chosen, limit=MOST)
    return {row["item_id"]: row["name"] for row in reply.get("items", []) if row["name"]}


async def item_ids_of(services: Services, tenant: str, texts: Iterable[str]) -> list[str]:
    """Return the ids of items for texts that are ids or whole names; what is neither stays as it is."""
    typed = [text.strip() for text in texts if text.strip()][:MOST]
    if not typed:
        return []
    reply = await services.get(tenant, "sync", "/v1/items", id=typed, limit=MOST)
    known = {row["item_id"] for row in reply.get("items", [])}
    return [text if text in known else await _id_of_name(services, tenant, text) for text in typed]


async def _id_of_name(services: Services, tenant: str, name: str) -> str:
    reply = await services.get(tenant, "sync", "/v1/items", search=name, limit=MOST)
    folded = name.casefold()
    ids = (row["item_id"] for row in reply.get("items", []) if str(row["name"]).casefold() == folded)
    return next(ids, name)
