"""Objects of sources that were asked, as they stand in the inbox."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import orjson

from services.sync.domain.pulls import erp, rows
from services.sync.domain.pulls.configs import Erp, PullConfig, Query, Rest, ShopifyApi
from services.sync.domain.records import Ignored, Record
from services.sync.domain.webhooks import generic, shopify
from shared.errors import Permanent


def parse(config: PullConfig, topic: str, body: bytes, received_at: datetime) -> list[Record] | Ignored:
    """Return the records of an object. Raises Permanent for one that can't be used."""
    try:
        stored: Any = orjson.loads(body)
        content = stored["object"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Permanent("The body is not JSON with the member `object`.") from error
    match config:
        case Erp():
            if not isinstance(content, dict):
                raise Permanent("The order is not an object.")
            return erp.parse(config, topic, content, date.fromisoformat(stored.get("day", "1970-01-01")))
        case Rest():
            number = int(topic) if topic.isdigit() else len(config.endpoints)
            if number >= len(config.endpoints):
                return Ignored("The source has no such endpoint any more.")
            mapping = config.endpoints[number].mapping.model_copy(update={"select": "$", "topic": None})
            return generic.parse(topic, content, (mapping,))
        case Query():
            if not isinstance(content, dict):
                raise Permanent("The row is not an object.")
            return rows.parse(config.records, content, config.timezone)
        case ShopifyApi():
            return shopify.parse(topic, content, config.options, received_at)
        case _:
            return Ignored("The source has files, and no answers.")
