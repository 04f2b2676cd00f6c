"""Members of answers that programs of existing shops read, beside those of Endcap."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from services.recommender.domain.properties import property_value
from services.recommender.serving.recommendation import POPULAR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.recommender.api.replies import Reply
    from services.recommender.domain.catalogue import Catalogue
    from services.recommender.domain.properties import PropertyValue

_IMAGES = ("images", "image", "image_url")


def for_backend(reply: Reply, catalogue: Catalogue) -> Reply:
    """Return an answer with `success` and `isFallback`, and rows with `_id`, `name` and `image` as well."""
    body = orjson.loads(reply.body)
    for row in body["recommendations"]:
        row["_id"], row["name"] = row["product_id"], row["product_name"]
        row["image"] = _images(catalogue.properties(row["product_id"]))
    return _with_members({"success": True, "isFallback": reply.source == POPULAR}, reply, body)


def with_affinity(reply: Reply) -> Reply:
    """Return an answer with `status`, and rows with the score as `affinity_score` as well."""
    body = orjson.loads(reply.body)
    for row in body["recommendations"]:
        row["affinity_score"] = row["score"]
    if body["recommendations"]:
        return _with_members({"status": "success"}, reply, body)
    message = "No items are known for this user yet."
    return _with_members({"status": "no_data", "message": message}, reply, body)


def _with_members(members: dict[str, Any], reply: Reply, body: dict[str, Any]) -> Reply:
    return replace(reply, body=orjson.dumps(members | body))


def _images(properties: Mapping[str, PropertyValue]) -> list[str]:
    """Return the addresses of an item's images; several are joined by `|` in one attribute."""
    values = (property_value(properties, "item", name) for name in _IMAGES)
    value = next((str(value) for value in values if value is not None), "")
    return value.split("|") if value else []
