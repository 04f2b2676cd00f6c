"""Endcap as the shop's server uses it: the catalogue, placements and events of the public API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from examples.shop.products import Product

Value = TypeVar("Value")

ATTEMPTS = 2
LISTED = 12
"""Popular items that are remembered: as many as the longest list of a page has."""
CACHED_PRODUCTS = 20_000
PRODUCT_SECONDS = 60.0
LIST_SECONDS = 60.0
"""Seconds after which products and lists are read again. Arbitrary: new prices show within a minute."""


class Unavailable(Exception):
    """Endcap can't be reached, or does not answer as it should; the message says what happened."""


class Remembered(Generic[Value]):
    """A value that is read again after some seconds; while that fails, the last one stays."""

    def __init__(self, read: Callable[[], Awaitable[Value]], seconds: float = LIST_SECONDS) -> None:
        self._read = read
        self._seconds = seconds
        self._value: Value | None = None
        self._due = 0.0
        self._lock = asyncio.Lock()

    async def get(self) -> Value:
        """Return the value. Raises Unavailable if it was never read and can't be read now."""
        async with self._lock:
            if self._value is None or time.monotonic() > self._due:
                try:
                    self._value = await self._read()
                except Unavailable:
                    if self._value is None:
                        raise
                self._due = time.monotonic() + self._seconds
            return self._value


@dataclass(frozen=True, slots=True)
class Page:
    """Products of a list, and how many the whole list has."""

    products: list[Product]
    total: int


class Endcap:
    """The public API, called with a read key; events with the storefront key of the pages."""

    def __init__(self, client: httpx.AsyncClient, *, read_key: str, storefront_key: str) -> None:
        self._client = client
        self._read_headers = {"x-api-key": read_key} if read_key else {}
        self._storefront_headers = {"x-api-key": storefront_key} if storefront_key else {}
        self._products: dict[str, tuple[float, Product]] = {}
        self.categories = Remembered(self._categories)
        self.popular = Remembered(self._popular)
        self.newest = Remembered(self._newest)

    async def page(self, **query: Any) -> Page:
        """Return a page of items that can be bought; the query is that of `GET /v1/items`."""
        body = await self._get("/v1/items", {"available": "true", **query})
        products = [Product.from_item(item) for item in body["items"]]
        self._remember(products)
        return Page(products, int(body["total"]))

    async def product(self, item_id: str) -> Product | None:
        """Return a product, or None if the catalogue has none with this id. Raises Unavailable."""
        read_at, product = self._products.get(item_id, (0.0, None))
        if product is not None and time.monotonic() < read_at + PRODUCT_SECONDS:
            return product
        try:
            item = await self._get(f"/v1/items/{quote(item_id, safe='')}", {}, missing=True)
        except Unavailable:
            if product is None:
                raise
            return product
        if item is None:
            self._products.pop(item_id, None)
            return None
        product = Product.from_item(item)
        self._remember([product])
        return product

    async def products(self, item_ids: Sequence[str]) -> dict[str, Product]:
        """Return the products that the catalogue knows, by id. Raises Unavailable."""
        products = await asyncio.gather(*map(self.product, item_ids))
        return {product.item_id: product for product in products if product is not None}

    async def users(self, limit: int) -> list[dict[str, Any]]:
        """Return the first customers by id."""
        body = await self._get("/v1/users", {"limit": limit})
        return list(body["users"])

    async def user(self, user_id: str) -> dict[str, Any] | None:
        """Return a customer, or None if the shop has none with this id."""
        user = await self._get(f"/v1/users/{quote(user_id, safe='')}", {}, missing=True)
        return None if user is None else dict(user)

    async def orders(self, user_id: str, limit: int = 20) -> list[dict[str, Any]]:
        """Return the newest orders of a customer."""
        body = await self._get("/v1/orders", {"user_id": user_id, "limit": limit})
        return list(body["orders"])

    async def send(self, events: list[dict[str, Any]]) -> dict[str, Any]:
        """Send events, and return the answer. Raises Unavailable unless all of them are accepted."""
        answer = await self._request("POST", "/v1/events", headers=self._storefront_headers, json=events)
        body: dict[str, Any] = answer.json()
        if body.get("rejected"):
            raise Unavailable(f"Endcap rejected events: {body}")
        return body

    async def problem(self) -> str | None:
        """Return why the catalogue can't be read, or None if it can."""
        try:
            await self.categories.get()
        except Unavailable as error:
            return str(error)
        return None

    async def _categories(self) -> list[dict[str, Any]]:
        return list((await self._get("/v1/categories", {}))["categories"])

    async def _popular(self) -> list[Product]:
        rows = (await self._get("/api/v1/placements/home", {"limit": LISTED}))["recommendations"]
        popular = [Product.from_recommendation(row) for row in rows]
        return popular or (await self.page(sort="newest", limit=LISTED)).products

    async def _newest(self) -> list[Product]:
        return (await self.page(sort="newest", limit=6)).products

    def _remember(self, products: list[Product]) -> None:
        if len(self._products) > CACHED_PRODUCTS:
            self._products.clear()
        now = time.monotonic()
        self._products.update({product.item_id: (now, product) for product in products})

    async def _get(self, path: str, query: dict[str, Any], *, missing: bool = False) -> Any:
        """Return the JSON of an answer; with `missing`, None for a 404. Raises Unavailable."""
        answer = await self._request("GET", path, headers=self._read_headers, params=query, missing=missing)
        return None if answer.status_code == httpx.codes.NOT_FOUND else answer.json()

    async def _request(
        self, method: str, path: str, *, missing: bool = False, **request: Any
    ) -> httpx.Response:
        """Return an answer of success, or with `missing` a 404. Raises Unavailable after two attempts."""
        problem = ""
        for _ in range(ATTEMPTS):
            try:
                answer = await self._client.request(method, path, **request)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {error}"
                continue
            if answer.is_success or (missing and answer.status_code == httpx.codes.NOT_FOUND):
                return answer
            problem = f"{answer.status_code}: {answer.text[:200]}"
            if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                break
        raise Unavailable(f"{method} {path}: {problem}")
