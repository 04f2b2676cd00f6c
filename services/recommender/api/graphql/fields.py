"""The resolvers of the root fields. They return the tuples that `projection` encodes."""

from __future__ import annotations

import base64
import binascii
import math
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson

from services.recommender.api.graphql.errors import BAD_REQUEST, FieldError
from services.recommender.api.graphql.placement_field import PlacementField
from services.recommender.api.graphql.values import NULL, checked_id, checked_limit
from services.recommender.domain.catalogue_index import CATEGORY
from services.recommender.domain.recipes import POPULARITY, USER

if TYPE_CHECKING:
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.override import Override
    from services.recommender.serving.pages import Page, PagedRecommendations
    from services.recommender.serving.placements.engine import PlacementEngine
    from services.recommender.serving.recorder import AnswerRecorder
    from services.recommender.store.catalogues import Catalogues
    from services.recommender.store.overrides import Overrides

DEFAULT_LIMIT: Final = 20
MAX_OFFSET: Final = 100_000
MAX_REMEMBERED_ITEMS: Final = 20_000
"""Items of a tenant that are remembered encoded, about 300 bytes each; arbitrary."""

_TOKEN: Final = re.compile(r"([uc]):(\d{1,18}):(\d{1,6})")

Resolver = Callable[[str, Mapping[str, Any]], Awaitable[Any]]
"""Resolves a field for a tenant with its arguments; raises FieldError."""


class Fields:
    """The root fields of queries and mutations."""

    def __init__(
        self,
        pages: PagedRecommendations,
        engine: PlacementEngine,
        catalogues: Catalogues,
        overrides: Overrides,
        recorder: AnswerRecorder,
    ) -> None:
        self._pages = pages
        self._recorder = recorder
        self._catalogues = catalogues
        self._overrides = overrides
        self._encoded_items: dict[str, EncodedItems] = {}
        self.resolvers: dict[str, Resolver] = {
            "getRecommendations": self._recommendations,
            "getRecommendationsByCategory": self._by_category,
            "placement": PlacementField(engine, catalogues, self._category, recorder).resolve,
            "putRecommendation": self._put,
        }

    async def _recommendations(self, tenant: str, arguments: Mapping[str, Any]) -> Any:
        user_id = checked_id("userId", arguments["userId"])
        limit, token = checked_limit(arguments.get("limit"), DEFAULT_LIMIT), arguments.get("nextToken")
        generation, offset = (None, 0) if token is None else _read_token("u", token)
        page = await self._pages.for_user(tenant, user_id, offset, limit)
        token = self._token("u", page, generation, offset + limit)
        rows = self._rows(tenant, page, orjson.dumps(user_id))
        return rows, token, self._record(tenant, user_id, USER, page, {"limit": limit, "offset": offset})

    async def _by_category(self, tenant: str, arguments: Mapping[str, Any]) -> Any:
        category = checked_id("category", arguments["category"])
        limit, token = checked_limit(arguments.get("limit"), DEFAULT_LIMIT), arguments.get("nextToken")
        generation, offset = (None, 0) if token is None else _read_token("c", token)
        page = await self._pages.for_category(tenant, category, offset, limit)
        token = self._token("c", page, generation, offset + limit)
        request = {"category": category, "limit": limit, "offset": offset}
        return self._rows(tenant, page, NULL), token, self._record(tenant, None, POPULARITY, page, request)

    async def _put(self, tenant: str, arguments: Mapping[str, Any]) -> Any:
        document = arguments["input"]
        score, category = document["score"], document.get("category")
        if not math.isfinite(score):
            raise FieldError(BAD_REQUEST, "score must be a finite number.")
        if category is not None:
            checked_id("category", category)
        override = await self._overrides.put(
            tenant,
            checked_id("userId", document["userId"]),
            checked_id("itemId", document["itemId"]),
            float(score),
            category,
        )
        return recommendation(override)

    def _token(self, kind: str, page: Page, generation: int | None, end: int) -> bytes:
        """Return the token of the next page as JSON; raise FieldError for an older generation."""
        current = page.generation or 0
        if generation is not None and generation != current:
            message = "nextToken is of older recommendations; start again without one."
            raise FieldError(BAD_REQUEST, message)
        return _encoded_token(kind, current, end) if page.has_more else NULL

    def _record(
        self, tenant: str, user_id: str | None, target: str, page: Page, request: dict[str, Any]
    ) -> bytes:
        """Record a page; return its recommendationId as JSON."""
        served = page.served()
        id_ = self._recorder.listed(
            tenant, "graphql", user_id, target, served, page.source, page.generation, request
        )
        return b'"%b"' % id_.encode()

    def _rows(self, tenant: str, page: Page, user: bytes) -> Sequence[tuple[bytes, ...]]:
        """Return the tuples of `Recommendation`."""
        items, overrides = self._items(tenant), page.overrides
        at = b"%d" % (page.activated_at or time.time())
        rows = []
        for item_id, score in page.items:
            encoded_id, category = items.get(item_id)
            put_at = at
            if overrides and (override := overrides.get(item_id)) is not None:
                put_at = b"%d" % override.recorded_at
                if override.category is not None:
                    category = orjson.dumps(override.category)
            rows.append((user, encoded_id, b"0.0" if score is None else b"%r" % score, category, put_at))
        return rows

    def _items(self, tenant: str) -> EncodedItems:
        items = self._encoded_items.get(tenant)
        if items is None:
            items = self._encoded_items[tenant] = EncodedItems(self._catalogues.of(tenant))
        return items

    def _category(self, tenant: str, item_id: str) -> bytes:
        return self._items(tenant).get(item_id)[1]


class EncodedItems:
    """The id and the category of a tenant's items as JSON, remembered until the item changes."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, tuple[bytes, tuple[bytes, bytes]]] = {}

    def get(self, item_id: str) -> tuple[bytes, bytes]:
        """Return (id, category) of an item."""
        token, known = self._catalogue.state_token(item_id), self._known.get(item_id)
        if known is not None and known[0] is token:
            return known[1]
        if len(self._known) >= MAX_REMEMBERED_ITEMS:
            self._known.clear()
        value = self._catalogue.property_value(item_id, CATEGORY)
        encoded = (orjson.dumps(item_id), NULL if value is None else orjson.dumps(str(value)))
        self._known[item_id] = (token, encoded)
        return encoded


def recommendation(override: Override) -> tuple[bytes, ...]:
    """Return the tuple of `Recommendation` of an override."""
    return (
        orjson.dumps(override.user_id),
        orjson.dumps(override.item_id),
        b"%r" % override.score,
        orjson.dumps(override.category),
        b"%d" % override.recorded_at,
    )


def _encoded_token(kind: str, generation: int, offset: int) -> bytes:
    """Return an opaque token as JSON."""
    return b'"%b"' % base64.urlsafe_b64encode(f"{kind}:{generation}:{offset}".encode())


def _read_token(kind: str, token: str) -> tuple[int, int]:
    """Return (generation, offset) of a token; raise FieldError for any other text."""
    try:
        text = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, UnicodeError):
        text = ""
    match = _TOKEN.fullmatch(text)
    if match is None or match[1] != kind or int(match[3]) > MAX_OFFSET:
        raise FieldError(BAD_REQUEST, "nextToken is not one of this field; start again without one.")
    return int(match[2]), int(match[3])
