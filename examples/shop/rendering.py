"""HTML from templates, with what every page has: visitor, cart, categories and the settings of the kit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from examples.shop.customers import Customer, Customers
from examples.shop.endcap import Endcap, Unavailable
from examples.shop.products import Product
from examples.shop.settings import Settings
from examples.shop.visit import Visit

FOLDER = Path(__file__).parent
SHOWN_FALLBACKS = 12


class Pages:
    """Renders the pages. Values are escaped by the templates' environment."""

    def __init__(self, settings: Settings, endcap: Endcap, customers: Customers) -> None:
        self._settings = settings
        self._endcap = endcap
        self._customers = customers
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(
            shop=settings, link=self.link, asset=self.asset, product_link=self.product_link
        )
        self._assets: dict[str, str] = {}

    def link(self, path: str, **query: Any) -> str:
        """Return the address of a page of the shop; parameters that are None or empty are left out."""
        parameters = urlencode({name: value for name, value in query.items() if value})
        return f"{self._settings.root_path}{path}{'?' if parameters else ''}{parameters}"

    def product_link(self, item_id: str) -> str:
        """Return the address of a product's page."""
        return self.link(f"/products/{quote(item_id, safe='')}")

    def asset(self, name: str) -> str:
        """Return the address of a static file, which changes with its content."""
        if name not in self._assets:
            digest = hashlib.sha256((FOLDER / "static" / name).read_bytes()).hexdigest()[:12]
            self._assets[name] = self.link(f"/static/{name}", v=digest)
        return self._assets[name]

    async def render(
        self, request: Request, template: str, values: Mapping[str, Any] | None = None, *, status: int = 200
    ) -> HTMLResponse:
        """Return a page. Parts that need Endcap are left out while it is away."""
        visit = Visit(request)
        common = {
            "visit": visit,
            "customer": await self._customer(visit),
            "categories": await self._categories(),
            "fallbacks": await self._fallbacks(),
            "notice": visit.take_notice(),
            "kit": self._kit(),
        }
        text = self._templates.get_template(template).render({**common, **(values or {})})
        return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})

    def _kit(self) -> dict[str, str]:
        settings = self._settings
        return {
            "script": settings.kit_url,
            "url": settings.public_url or "/",
            "key": settings.storefront_key.get_secret_value(),
        }

    async def _customer(self, visit: Visit) -> Customer | None:
        if visit.user_id is None:
            return None
        try:
            customer = await self._customers.by_id(visit.user_id)
        except Unavailable:
            customer = None
        return customer or Customer(visit.user_id, visit.user_id, "", 0, "")

    async def _categories(self) -> list[dict[str, Any]]:
        try:
            return await self._endcap.categories.get()
        except Unavailable:
            return []

    async def _fallbacks(self) -> list[Product]:
        """Return what the kit's lists show until they are filled, and while Endcap can't be reached."""
        try:
            return (await self._endcap.popular.get())[:SHOWN_FALLBACKS]
        except Unavailable:
            return []
