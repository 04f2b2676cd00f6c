"""sync's HTTP API: imports, sources, webhooks, and the state of orders, items and users."""

from services.sync.api.imports import imports_router
from services.sync.api.listings import listings_router
from services.sync.api.load_command import load
from services.sync.api.objects import objects_router
from services.sync.api.shop import shop_router
from services.sync.api.sources import deliveries_router, sources_router
from services.sync.api.sync_command import sync
from services.sync.api.webhooks import webhooks_router

__all__ = [
    "deliveries_router",
    "imports_router",
    "listings_router",
    "load",
    "objects_router",
    "shop_router",
    "sources_router",
    "sync",
    "webhooks_router",
]
