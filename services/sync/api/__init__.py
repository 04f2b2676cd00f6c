"""sync over HTTP: imports, and a look at what the shop is known to be."""

from services.sync.api.imports import imports_router
from services.sync.api.load_command import load
from services.sync.api.shop import shop_router

__all__ = ["imports_router", "load", "shop_router"]
