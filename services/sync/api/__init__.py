"""sync's HTTP API: imports, and the state of orders, items and users."""

from services.sync.api.imports import imports_router
from services.sync.api.listings import listings_router
from services.sync.api.load_command import load
from services.sync.api.shop import shop_router

__all__ = ["imports_router", "listings_router", "load", "shop_router"]
