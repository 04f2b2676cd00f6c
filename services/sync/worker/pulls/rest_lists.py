"""Read the lists of a REST API, page by page, in windows of days where the API has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import orjson

from services.sync.domain.pulls.configs import Endpoint, Rest
from services.sync.domain.webhooks.generic import selected, value_at
from services.sync.store.pulls import Pulled
from services.sync.store.source_api import SourceApi
from services.sync.worker.pulls.page import Days, Page
from shared.errors import Permanent

MOST_PAGES = 100_000
"""Pages of one list; beyond it the API repeats itself."""

_MOST_PASSES = 4
"""Times that a list of numbered pages is read until two passes see the same objects."""


class RestLists:
    """The endpoints of a REST API. The topic of an object is the number of its endpoint."""

    def __init__(self, config: Rest, api: SourceApi) -> None:
        self._config = config
        self._api = api

    async def pages(self, days: Days) -> AsyncIterator[Page]:
        """Yield the objects of all endpoints. Raises Permanent and Transient as the API does."""
        for number, endpoint in enumerate(self._config.endpoints):
            topic = str(number)
            if days.progress.get(topic) == "done":
                continue
            if endpoint.since_param and endpoint.until_param:
                first = days.begin_of(topic)
                while first <= days.last:
                    last = min(first + timedelta(days=endpoint.window_days - 1), days.last)
                    async for page in self._stable(topic, endpoint, first, last):
                        yield page
                    first = last + timedelta(days=1)
                    yield Page(topic, [], {topic: str(first)})
            else:
                async for page in self._stable(topic, endpoint, days.first, days.last):
                    yield page
            yield Page(topic, [], {topic: "done"})

    async def _stable(self, topic: str, endpoint: Endpoint, first: date, last: date) -> AsyncIterator[Page]:
        """Yield the pages of a list; numbered pages are read again until nothing moves between them.

        An order that comes or goes while pages are read moves others to pages that were read already.
        """
        seen: set[str] | None = None
        for _ in range(_MOST_PASSES):
            now: set[str] = set()
            async for objects in self._once(endpoint, first, last):
                now |= {entry.id for entry in objects}
                yield Page(topic, objects)
            if now == seen or endpoint.pages.kind not in {"page", "offset"} or not _has_pages(endpoint, now):
                return
            seen = now
        yield Page(topic, [], {}, (f"{endpoint.path} changed in each of {_MOST_PASSES} readings.",))

    async def _once(self, endpoint: Endpoint, first: date, last: date) -> AsyncIterator[list[Pulled]]:
        pages, params = endpoint.pages, _params(endpoint, first, last)
        place: Any = pages.first if pages.kind == "page" else 0
        path = endpoint.path
        for _ in range(MOST_PAGES):
            if pages.kind in {"page", "offset"} or (pages.kind == "cursor" and place):
                params[pages.param] = place
            answer = await self._api.get(path, params)
            objects = [
                _pulled(endpoint, entry) for entry in selected(endpoint.mapping.select, answer.document)
            ]
            yield objects
            match pages.kind:
                case "none":
                    return
                case "link":
                    if answer.next_url is None:
                        return
                    path, params = answer.next_url, {}
                case "cursor":
                    following = value_at(pages.cursor or "$", answer.document)
                    if following in (None, "", place):
                        return
                    place = following
                case _:
                    if not objects:
                        return
                    place += 1 if pages.kind == "page" else len(objects)
        raise Permanent(f"{endpoint.path} has more than {MOST_PAGES:,} pages, or repeats itself.")


def _has_pages(endpoint: Endpoint, identities: set[str]) -> bool:
    return len(identities) >= endpoint.pages.size


def _params(endpoint: Endpoint, first: date, last: date) -> dict[str, Any]:
    params: dict[str, Any] = dict(endpoint.params)
    if endpoint.since_param:
        params[endpoint.since_param] = first.strftime(endpoint.day_format)
    if endpoint.until_param:
        params[endpoint.until_param] = last.strftime(endpoint.day_format)
    if endpoint.pages.size_param:
        params[endpoint.pages.size_param] = endpoint.pages.size
    return params


def _pulled(endpoint: Endpoint, entry: Any) -> Pulled:
    fields = endpoint.mapping.fields
    name = next(name for name in ("order_id", "item_id", "user_id") if name in fields)
    identity = value_at(fields[name], entry)
    if identity is None:
        identity = orjson.dumps(entry).decode()[:200]
    return Pulled(str(identity)[:256], {"object": entry})
